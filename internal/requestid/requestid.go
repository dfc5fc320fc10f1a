// Package requestid carries the identifier of an HTTP request in a context, so that every log line that is written on
// behalf of the request can name it, in this copy of the service or in another one.
package requestid

import "context"

type contextKey struct{}

// With returns a context that carries the identifier. An empty identifier leaves ctx as it is.
func With(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, id)
}

// From returns the identifier that ctx carries, or an empty string.
func From(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}
