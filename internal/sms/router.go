package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

const (
	callTimeout = 2500 * time.Millisecond // Of one call, so that the next provider has the message within 3 s.
	rounds      = 3                       // Over all providers.
	maxRest     = time.Minute             // The longest Retry-After that is honoured.
	restPoll    = 250 * time.Millisecond  // Between two looks while all providers rest.
)

// pauses are the waits after a round in which no provider accepted the message.
var pauses = [rounds - 1]time.Duration{time.Second, 2 * time.Second}

var (
	errNotAccepted = errors.New("no provider accepted the message")
	errResting     = errors.New("every provider rests")
	errSlow        = errors.New("no answer within " + callTimeout.String())
)

// RouterOptions are the inputs of NewRouter.
type RouterOptions struct {
	Providers []Opened
	Order     []string            // Names, the preferred provider first.
	Routes    map[string][]string // The same for numbers of one region (ISO 3166), or "*" for all other regions.
	Metrics   Metrics
	Log       *slog.Logger
}

// Metrics counts the messages that providers fail, and observes the duration of each call. The result of a call is
// taken (the message was accepted), or one of the scopes of a failure: rejected (the number), refused (the message) or
// failed (the provider).
type Metrics interface {
	CountMessage(event, provider, region string)
	ObserveCall(provider, result string, took time.Duration)
}

// Router is the otp.Router: it chooses a provider for each message, and lets failing providers rest.
type Router struct {
	candidates []*candidate
	routes     map[string]route // By region, and "*".
	metrics    Metrics
	log        *slog.Logger
}

// A route is the providers of a region, the preferred one first, and the channels that they offer together.
type route struct {
	candidates []*candidate
	channels   []string
}

// A candidate is a provider with what the router knows about its health.
type candidate struct {
	Opened
	breaker *breaker
	metrics Metrics
}

// NewRouter returns a router. Every name in Order and Routes must be the name of one of the Providers.
func NewRouter(o RouterOptions) *Router {
	r := &Router{routes: make(map[string]route), metrics: o.Metrics, log: o.Log}
	named := make(map[string]*candidate)
	for _, p := range o.Providers {
		named[p.Name] = &candidate{Opened: p, metrics: o.Metrics, breaker: r.newBreaker(p.Name)}
		r.candidates = append(r.candidates, named[p.Name])
	}
	over := func(names []string) (found route) {
		for _, name := range names {
			c := named[name]
			found.candidates = append(found.candidates, c)
			for _, channel := range c.Channels() {
				if !slices.Contains(found.channels, channel) {
					found.channels = append(found.channels, channel)
				}
			}
		}
		return found
	}
	r.routes["*"] = over(o.Order)
	for region, names := range o.Routes {
		r.routes[region] = over(names)
	}
	return r
}

func (r *Router) newBreaker(provider string) *breaker {
	return newBreaker(
		func(everyone bool) {
			whom := "one address"
			if everyone {
				whom = "everyone"
			}
			r.log.Warn("provider rests", "provider", provider, "for", restFor.String(), "whom", whom)
		},
		func() { r.log.Info("provider is back", "provider", provider) },
	)
}

func (r *Router) route(region string) route {
	if found, ok := r.routes[region]; ok {
		return found
	}
	return r.routes["*"]
}

// Resting yields the providers, and whether each of them rests.
func (r *Router) Resting(yield func(provider string, rests bool) bool) {
	for _, c := range r.candidates {
		if !yield(c.Name, c.breaker.rests(time.Now())) {
			return
		}
	}
}

// Channels implements otp.Router.
func (r *Router) Channels(region string) []string { return r.route(region).channels }

// Send implements otp.Router. It calls the providers of the region and channel that deliver codes of this length, in
// their order, three rounds over all of them, until one accepts the message or a failure has ScopeNumber. A provider
// whose failure has ScopeMessage is not called again. From the second resend on, Send begins with another provider,
// because the messages through the first one evidently did not arrive.
func (r *Router) Send(ctx context.Context, m otp.Message, stillHeld func() error) (otp.Handoff, error) {
	candidates := r.choose(m)
	if len(candidates) == 0 {
		return otp.Handoff{}, fmt.Errorf("%w: none for %s delivers a code of %d digits",
			errNotAccepted, m.Channel, len(m.Code))
	}
	d := delivery{router: r, message: m, candidates: candidates, last: errResting}
	for round := 0; round < rounds; {
		called, handoff, err := d.round(ctx, stillHeld)
		if err != nil || handoff.Provider != "" {
			return handoff, err
		}
		if len(d.candidates) == 0 {
			return otp.Handoff{}, fmt.Errorf("%w by every provider; last %w", otp.ErrUndeliverable, d.last)
		}
		pause := restPoll
		if called {
			if round++; round == rounds {
				break
			}
			pause = pauses[round-1]
		}
		select {
		case <-ctx.Done():
			return otp.Handoff{}, fmt.Errorf("%w; last %w", errNotAccepted, d.last)
		case <-time.After(pause):
		}
	}
	return otp.Handoff{}, fmt.Errorf("%w; last %w", errNotAccepted, d.last)
}

// choose returns the candidates for a message, the first one to call first.
func (r *Router) choose(m otp.Message) (candidates []*candidate) {
	for _, c := range r.route(m.Region).candidates {
		if slices.Contains(c.Channels(), m.Channel) && c.carries(len(m.Code)) {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	first := max(0, m.Send-2) % len(candidates)
	return slices.Concat(candidates[first:], candidates[:first])
}

// A delivery is one message on its way through the providers.
type delivery struct {
	router     *Router
	message    otp.Message
	candidates []*candidate // That may still accept it.
	last       error        // Of the latest call.
}

// round calls each candidate that does not rest, until one accepts the message. The error is final; called reports
// whether any candidate was called.
func (d *delivery) round(ctx context.Context, stillHeld func() error) (called bool, h otp.Handoff, err error) {
	for _, c := range slices.Clone(d.candidates) {
		if c.breaker.restsFor(d.message, time.Now()) {
			continue
		}
		if err := stillHeld(); err != nil {
			return called, otp.Handoff{}, fmt.Errorf("%w: %w", errNotAccepted, err)
		}
		id, err := c.call(ctx, d.message)
		if errors.Is(err, errResting) {
			continue
		}
		if err == nil {
			return true, otp.Handoff{Provider: c.Name, ID: id}, nil
		}
		called = true
		if err := d.failed(ctx, c, err); err != nil {
			return called, otp.Handoff{}, err
		}
	}
	return called, otp.Handoff{}, nil
}

// failed takes note of a call's failure. It returns an error if that ends the delivery.
func (d *delivery) failed(ctx context.Context, c *candidate, err error) error {
	d.last = fmt.Errorf("%s: %w", c.Name, err)
	if ctx.Err() != nil {
		return fmt.Errorf("%w; %w", errNotAccepted, d.last)
	}
	d.router.metrics.CountMessage(string(otp.Failed), c.Name, d.message.Region)
	d.router.log.WarnContext(ctx, "provider failed",
		"provider", c.Name, "phone", d.message.To, "message", d.message.ID, "error", err.Error())
	switch scope(err) {
	case ScopeNumber:
		return d.last
	case ScopeMessage:
		d.candidates = slices.DeleteFunc(d.candidates, func(other *candidate) bool { return other == c })
	}
	return nil
}

// scope returns how far the error of a call reaches.
func scope(err error) Scope {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Scope
	}
	return ScopeProvider
}

// isHealthy reports whether the outcome of a call shows a provider that does its work. A failure of one message or
// number must not make a provider rest, or else a stranger could stop it by asking for codes to such numbers.
func isHealthy(err error) bool { return err == nil || scope(err) != ScopeProvider }

// isCanceled reports whether this service, and not the provider, ended the call.
func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// The results of a call, as metrics and traces name them.
const (
	resultTaken    = "taken"
	resultRejected = "rejected"
	resultRefused  = "refused"
	resultFailed   = "failed"
)

func result(err error) string {
	if err == nil {
		return resultTaken
	}
	switch scope(err) {
	case ScopeNumber:
		return resultRejected
	case ScopeMessage:
		return resultRefused
	}
	return resultFailed
}

// describe records the result of a call on its span.
func describe(span trace.Span, provider, channel, result string) {
	span.Set("otp.provider", provider)
	span.Set("otp.channel", channel)
	if span.Set("otp.result", result); result != resultTaken {
		span.Fail(result)
	}
}

// call calls the provider once. The error is errResting if the provider rests.
func (c *candidate) call(ctx context.Context, m otp.Message) (id string, err error) {
	pass, ok := c.breaker.ask(m, time.Now())
	if !ok {
		return "", errResting
	}
	id, err = c.observedSend(ctx, m)
	switch {
	case isCanceled(err):
		c.breaker.dropped(pass)
	case isHealthy(err):
		c.breaker.worked(pass)
	default:
		c.breaker.failed(pass, pause(err), time.Now())
	}
	if !c.Reports {
		id = ""
	}
	return id, err
}

// pause returns how long the provider asked not to be called, 0 if it did not ask.
func pause(err error) time.Duration {
	if f, ok := errors.AsType[*Failure](err); ok {
		return min(f.RetryAfter, maxRest)
	}
	return 0
}

// observedSend is Send within callTimeout, with its metrics and its span.
func (c *candidate) observedSend(ctx context.Context, m otp.Message) (id string, err error) {
	ctx, span := trace.Start(ctx, trace.Client, "send", c.Name)
	defer span.End()
	bounded, cancel := context.WithTimeoutCause(ctx, callTimeout, errSlow)
	defer cancel()
	began := time.Now()
	id, err = c.Send(bounded, m)
	if err != nil && errors.Is(context.Cause(bounded), errSlow) {
		err = errSlow
	}
	describe(span, c.Name, m.Channel, result(err))
	if !isCanceled(err) {
		c.metrics.ObserveCall(c.Name, result(err), time.Since(began))
	}
	return id, err
}
