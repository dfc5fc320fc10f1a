package otp_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/redisstore"
)

var (
	iranian = parse("+989121234567")
	german  = parse("+4915123456789")
	address = netip.MustParseAddr("192.0.2.1")
)

func parse(s string) phone.Number {
	n, err := phone.NewParser("").Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

// A world is a service on an embedded store, with couriers and a clock of its own (testing/synctest).
type world struct {
	*otp.Service
	t       *testing.T
	options otp.Options
	router  *router
	metrics *metrics
	stop    func() // ends the couriers as the program does
}

func inWorld(t *testing.T, change func(*otp.Options), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		redis := redisstore.StartEmbedded()
		defer redis.Close()
		w := &world{t: t, router: new(router), metrics: new(metrics)}
		w.options = otp.Options{
			Router:  w.router,
			Texts:   texts{},
			Metrics: w.metrics,
			Log:     slog.New(slog.DiscardHandler),
			Secret:  []byte(strings.Repeat("s", 32)),
			Regions: []string{"*"},
			Policy: otp.Policy{
				Length:        6,
				TTL:           2 * time.Minute,
				MaxAttempts:   5,
				DailyAttempts: 30,
				PerPhone:      otp.Limit{Max: 3, Window: 10 * time.Minute},
				PerAddress:    otp.Limit{Max: 30, Window: 10 * time.Minute},
			},
		}
		if change != nil {
			change(&w.options)
		}
		w.options.Store = redisstore.NewCodes(redis, redisstore.CodesOptions{Policy: w.options.Policy, Partitions: 4})
		w.Service, w.stop = w.copy()
		test(w)
		w.stop()
	})
}

// copy starts another copy of the service on the same store.
func (w *world) copy() (s *otp.Service, stop func()) {
	w.t.Helper()
	return w.copyWith(func(*otp.Options) {})
}

// copyWith starts another copy with other options.
func (w *world) copyWith(change func(*otp.Options)) (s *otp.Service, stop func()) {
	w.t.Helper()
	options := w.options
	change(&options)
	s, err := otp.New(options)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Deliver(ctx) })
	return s, func() { cancel(); running.Wait() }
}

func (w *world) request(r otp.Request) otp.Accepted {
	w.t.Helper()
	r.Address = address
	accepted, err := w.Request(w.t.Context(), r)
	if err != nil {
		w.t.Fatalf("Request: %v", err)
	}
	return accepted
}

// verify answers with the text, and with a redeem that returns spent and err.
func (w *world) verify(a otp.Answer, text string, spent bool, err error) error {
	w.t.Helper()
	code, formatErr := w.ReadCode(text)
	if formatErr != nil {
		w.t.Fatalf("ReadCode(%s): %v", text, formatErr)
	}
	a.Code = code
	return w.Verify(w.t.Context(), a, func(context.Context, otp.ChallengeID) (bool, error) { return spent, err })
}

// want expects this state of an accepted request. An empty state stands for ErrUnknown.
func (w *world) want(a otp.Accepted, want otp.State) otp.Status {
	w.t.Helper()
	synctest.Wait()
	got, err := w.Status(w.t.Context(), a.Ticket)
	wantErr := error(nil)
	if want == "" {
		wantErr = otp.ErrUnknown
	}
	if got.State != want || !errors.Is(err, wantErr) {
		w.t.Fatalf("Status: %q, %v; want %q", got.State, err, want)
	}
	return got
}

// A router keeps the messages that it is given. It accepts them, unless answer is set.
type router struct {
	mu       sync.Mutex
	messages []otp.Message
	answer   func(ctx context.Context, m otp.Message) (otp.Handoff, error) // nil: the provider pigeon accepts it
	search   func(stillHeld func() error) error                            // runs before answer, unless it is nil
}

func (r *router) Channels(region string) []string {
	if region == "DE" {
		return []string{otp.WhatsApp, otp.Voice}
	}
	return []string{otp.Telegram, otp.SMS}
}

func (r *router) Send(ctx context.Context, m otp.Message, stillHeld func() error) (otp.Handoff, error) {
	if err := stillHeld(); err != nil {
		return otp.Handoff{}, err
	}
	if r.search != nil {
		if err := r.search(stillHeld); err != nil {
			return otp.Handoff{}, err
		}
	}
	r.mu.Lock()
	r.messages = append(r.messages, m)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		return answer(ctx, m)
	}
	return otp.Handoff{Provider: "pigeon", ID: m.ID}, nil
}

func (r *router) set(answer func(context.Context, otp.Message) (otp.Handoff, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// taken returns the messages once every courier waits.
func (r *router) taken() []otp.Message {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

func (r *router) code() string { m := r.taken(); return m[len(m)-1].Code }

type texts struct{}

func (texts) Locale(asked, accepted, region string) string {
	return strings.Join([]string{asked, accepted, region}, "|")
}

func (texts) Compose(locale, purpose, code string, _ time.Duration) string {
	return code + " " + purpose + " in " + locale
}

// A metrics counts messages by event, provider and region, and requests and attempts by outcome and region.
type metrics struct {
	mu               sync.Mutex
	counts, outcomes map[string]int
}

func (m *metrics) CountMessage(event, provider, region string) {
	m.add(&m.counts, event, provider, region)
}

func (m *metrics) CountRequest(outcome, region string) {
	m.add(&m.outcomes, "requested", outcome, region)
}

func (m *metrics) CountAttempt(outcome, region string) {
	m.add(&m.outcomes, "checked", outcome, region)
}

func (m *metrics) ObserveDelay(provider string, _ time.Duration) {
	m.add(&m.outcomes, "delay", provider)
}

func (m *metrics) add(to *map[string]int, names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if *to == nil {
		*to = make(map[string]int)
	}
	(*to)[strings.Join(names, " ")]++
}

func (m *metrics) want(t testing.TB, want map[string]int) {
	t.Helper()
	m.wantEqual(t, m.counts, want)
}

func (m *metrics) wantOutcomes(t testing.TB, want map[string]int) {
	t.Helper()
	m.wantEqual(t, m.outcomes, want)
}

func (m *metrics) wantEqual(t testing.TB, counts, want map[string]int) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !maps.Equal(counts, want) {
		t.Errorf("counted %v; want %v", counts, want)
	}
}

var errDown = errors.New("down")

// stuck accepts no message and returns when ctx is done.
func stuck(ctx context.Context, _ otp.Message) (otp.Handoff, error) {
	<-ctx.Done()
	return otp.Handoff{}, ctx.Err()
}

// takes accepts a message after a while.
func takes(d time.Duration) func(context.Context, otp.Message) (otp.Handoff, error) {
	return func(ctx context.Context, _ otp.Message) (otp.Handoff, error) {
		select {
		case <-ctx.Done():
			return otp.Handoff{}, ctx.Err()
		case <-time.After(d):
			return otp.Handoff{Provider: "pigeon"}, nil
		}
	}
}

// other returns a code of the same length that is not this one.
func other(code string) string {
	first := byte('0')
	if code[0] == first {
		first = '1'
	}
	return string(first) + code[1:]
}
