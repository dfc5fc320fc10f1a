// Package observertest checks that a store reports all of its calls to its observer.
package observertest

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Calls is an observer of one store, which keeps the calls.
type Calls struct {
	mu    sync.Mutex
	calls []call
}

type call struct {
	name  string
	began time.Time
	err   error
}

// ObserveCall keeps a call.
func (c *Calls) ObserveCall(_ context.Context, name string, began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call{name, began, err})
}

// take returns the calls since it was last called.
func (c *Calls) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.calls
	c.calls = nil
	return taken
}

// TestEveryMethod checks that each method of the interface S reports exactly one call, when it succeeds or refuses its
// zero arguments, and when its context has ended. A call has the name of its method in snake case. An error is reported
// as unavailable if the method returns it as unavailable. The store is not used afterwards.
func TestEveryMethod[S any](t *testing.T, store S, calls *Calls, unavailable error) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls.take()
	methods := reflect.TypeFor[S]()
	for i := range methods.NumMethod() {
		method := methods.Method(i).Name
		want := snake(method)
		for _, ctx := range []context.Context{ended, t.Context()} {
			began := time.Now()
			returned := invoke(ctx, reflect.ValueOf(&store).Elem().Method(i))
			got := calls.take()
			if len(got) != 1 {
				t.Errorf("%s reports %d calls; want 1", method, len(got))
				continue
			}
			if got[0].name != want {
				t.Errorf("%s reports the call %q; want %q", method, got[0].name, want)
			}
			if got[0].began.Before(began) || got[0].began.After(time.Now()) {
				t.Errorf("%s reports a call that began at %v; want a time since %v", method, got[0].began, began)
			}
			if reported := errors.Is(got[0].err, unavailable); reported != errors.Is(returned, unavailable) {
				t.Errorf("%s reports the error %v; want %v", method, got[0].err, returned)
			}
		}
	}
}

// invoke calls a method with zero values after the context, and returns its error.
func invoke(ctx context.Context, method reflect.Value) error {
	args := []reflect.Value{reflect.ValueOf(ctx)}
	for i := 1; i < method.Type().NumIn(); i++ {
		args = append(args, reflect.Zero(method.Type().In(i)))
	}
	results := method.Call(args)
	err, _ := reflect.TypeAssert[error](results[len(results)-1])
	return err
}

var capital = regexp.MustCompile(`[a-z][A-Z]`)

// snake returns a name such as EndSession as end_session.
func snake(name string) string {
	name = capital.ReplaceAllStringFunc(name, func(s string) string { return s[:1] + "_" + s[1:] })
	return strings.ToLower(name)
}
