package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

const (
	tryTimeout = 2500 * time.Millisecond // for one provider, so that the next has the message within three seconds
	rounds     = 3                       // over all providers
	restAfter  = 5                       // tries in a row that a provider fails
	restFor    = 5 * time.Second         // until a single message tries it again
	restAtMost = time.Minute             // that a Retry-After can ask for
	restLook   = 250 * time.Millisecond  // while all of them rest
)

// pauses are the waits after a round in which no provider took the message.
var pauses = [rounds - 1]time.Duration{time.Second, 2 * time.Second}

var (
	errNotTaken = errors.New("no provider took the message")
	errResting  = errors.New("every provider rests")
	errSlow     = errors.New("no answer within " + tryTimeout.String())
)

// Named is a provider and what settings, log and counters call it.
type Named struct {
	Name    string
	Reports bool // whether its delivery reports reach this service
	Provider
}

// RouterOptions are the inputs of NewRouter.
type RouterOptions struct {
	Providers []Named
	Order     []string            // names, the preferred provider first
	Routes    map[string][]string // the same for numbers of a region (ISO 3166), "*" for those of all others
	Metrics   Metrics
	Log       *slog.Logger
}

// A Metrics counts messages that providers fail, and takes the time of each try: its result is taken, rejected (the
// number), refused (the message) or failed.
type Metrics interface {
	CountMessage(event, provider, region string)
	ObserveCall(provider, result string, took time.Duration)
}

// Router is the otp.Router: it chooses a provider for each message, and lets those rest that fail.
type Router struct {
	lines   []*line
	routes  map[string]route // by region, and "*"
	metrics Metrics
	log     *slog.Logger
}

// A route is the providers of a region, the preferred one first, and the channels that they offer together.
type route struct {
	lines    []*line
	channels []string
}

// A line is a provider with what is known of how it is doing.
type line struct {
	Named
	breaker *gobreaker.CircuitBreaker[string]
	metrics Metrics
	mu      sync.Mutex
	rests   time.Time // because it asked for that
}

// NewRouter gives a router. Every name in Order and Routes must be that of a provider.
func NewRouter(o RouterOptions) *Router {
	r := &Router{routes: make(map[string]route), metrics: o.Metrics, log: o.Log}
	named := make(map[string]*line)
	for _, p := range o.Providers {
		named[p.Name] = &line{Named: p, metrics: o.Metrics, breaker: gobreaker.NewCircuitBreaker[string](gobreaker.Settings{
			Name: p.Name, Timeout: restFor,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= restAfter },
			IsSuccessful: answers,
			IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) }, // it was we who ended the call
			OnStateChange: func(name string, _, to gobreaker.State) {
				switch to {
				case gobreaker.StateOpen:
					r.log.Warn("provider rests", "provider", name, "for", restFor.String())
				case gobreaker.StateClosed:
					r.log.Info("provider is back", "provider", name)
				}
			},
		})}
		r.lines = append(r.lines, named[p.Name])
	}
	over := func(names []string) (found route) {
		for _, name := range names {
			l := named[name]
			found.lines = append(found.lines, l)
			for _, c := range l.Channels() {
				if !slices.Contains(found.channels, c) {
					found.channels = append(found.channels, c)
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

func (r *Router) route(region string) route {
	if found, ok := r.routes[region]; ok {
		return found
	}
	return r.routes["*"]
}

// Resting gives the providers, and whether each is not to be asked now.
func (r *Router) Resting(yield func(provider string, rests bool) bool) {
	for _, l := range r.lines {
		if !yield(l.Name, l.resting()) {
			return
		}
	}
}

// Channels implements otp.Router.
func (r *Router) Channels(region string) []string { return r.route(region).channels }

// Carry implements otp.Router. It asks the providers of the region and channel in their order, three rounds over all
// of them, until one takes the message or the number is rejected. One that refuses the message is not asked again. From
// the second resend on it begins with another one: the messages through the first evidently did not arrive.
func (r *Router) Send(ctx context.Context, m otp.Message, may func() error) (otp.Handoff, error) {
	var lines []*line
	for _, l := range r.route(m.Region).lines {
		if slices.Contains(l.Channels(), m.Channel) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return otp.Handoff{}, errNotTaken
	}
	if first := max(0, m.Send-2) % len(lines); first > 0 {
		lines = slices.Concat(lines[first:], lines[:first])
	}
	last := errResting
	refused := make(map[*line]bool)
	for round := 0; round < rounds; {
		tried := false
		for _, l := range lines {
			if refused[l] || l.resting() {
				continue
			}
			if err := may(); err != nil {
				return otp.Handoff{}, fmt.Errorf("%w: %w", errNotTaken, err)
			}
			id, err := l.send(ctx, m)
			if errors.Is(err, errResting) {
				continue
			}
			if err == nil {
				return otp.Handoff{Provider: l.Name, ID: id}, nil
			}
			tried = true
			last = fmt.Errorf("%s: %w", l.Name, err)
			if ctx.Err() != nil {
				return otp.Handoff{}, fmt.Errorf("%w; %w", errNotTaken, last)
			}
			r.metrics.CountMessage(string(otp.Failed), l.Name, m.Region)
			r.log.WarnContext(ctx, "provider failed", "provider", l.Name, "phone", m.To, "message", m.ID, "error", err.Error())
			if errors.Is(err, otp.ErrUndeliverable) {
				return otp.Handoff{}, last
			}
			if f, ok := errors.AsType[*Failure](err); ok && f.Refused {
				refused[l] = true
			}
		}
		if len(refused) == len(lines) {
			return otp.Handoff{}, fmt.Errorf("%w by every provider; last %w", otp.ErrUndeliverable, last)
		}
		pause := restLook
		if tried {
			if round++; round == rounds {
				break
			}
			pause = pauses[round-1]
		}
		select {
		case <-ctx.Done():
			return otp.Handoff{}, fmt.Errorf("%w; last %w", errNotTaken, last)
		case <-time.After(pause):
		}
	}
	return otp.Handoff{}, fmt.Errorf("%w; last %w", errNotTaken, last)
}

// answers tells whether the provider does its work. What it says of one message or one number says nothing of others:
// a stranger who asks for codes to numbers that it does not take must not make it rest.
func answers(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return err == nil || ok && (f.Rejected || f.Refused)
}

func result(err error) string {
	f, ok := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		return "taken"
	case ok && f.Rejected:
		return "rejected"
	case ok && f.Refused:
		return "refused"
	}
	return "failed"
}

// describe says on its span what a try came to.
func describe(span trace.Span, provider, channel, result string) {
	span.Set("otp.provider", provider)
	span.Set("otp.channel", channel)
	if span.Set("otp.result", result); result != "taken" {
		span.Fail(result)
	}
}

// resting tells whether the provider is not to be asked now.
func (l *line) resting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.rests) || l.breaker.State() == gobreaker.StateOpen
}

// send asks the provider once, unless it rests: the error is errResting then.
func (l *line) send(ctx context.Context, m otp.Message) (id string, err error) {
	id, err = l.breaker.Execute(func() (string, error) {
		ctx, span := trace.Start(ctx, trace.Client, "send", l.Name)
		defer span.End()
		try, cancel := context.WithTimeoutCause(ctx, tryTimeout, errSlow)
		defer cancel()
		began := time.Now()
		id, err := l.Send(try, m)
		if err != nil && context.Cause(try) == errSlow {
			err = errSlow
		}
		describe(span, l.Name, m.Channel, result(err))
		if !errors.Is(err, context.Canceled) { // it was we who ended the call
			l.metrics.ObserveCall(l.Name, result(err), time.Since(began))
		}
		return id, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return "", errResting
	}
	if f, ok := errors.AsType[*Failure](err); ok && f.RetryAfter > 0 {
		l.mu.Lock()
		l.rests = time.Now().Add(min(f.RetryAfter, restAtMost))
		l.mu.Unlock()
	}
	if !l.Reports {
		id = ""
	}
	return id, err
}
