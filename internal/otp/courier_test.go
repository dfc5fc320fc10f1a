package otp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/redisstore"
)

// A router keeps what it is given, and answers as answer says.
type router struct {
	mu       sync.Mutex
	messages []otp.Message
	answer   func(ctx context.Context, m otp.Message) (otp.Handoff, error) // nil: a pigeon takes it
	search   func(may func() error) error                                  // comes first, if it is not nil
}

func (c *router) Channels(region string) []string {
	if region == "DE" {
		return []string{otp.WhatsApp, otp.Voice}
	}
	return []string{otp.Telegram, otp.SMS}
}

func (c *router) Send(ctx context.Context, m otp.Message, may func() error) (otp.Handoff, error) {
	if err := may(); err != nil {
		return otp.Handoff{}, err
	}
	if c.search != nil {
		if err := c.search(may); err != nil {
			return otp.Handoff{}, err
		}
	}
	c.mu.Lock()
	c.messages = append(c.messages, m)
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		return answer(ctx, m)
	}
	return otp.Handoff{Provider: "pigeon", ID: m.ID}, nil
}

func (c *router) set(answer func(context.Context, otp.Message) (otp.Handoff, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// taken gives the messages once all couriers are at rest.
func (c *router) taken() []otp.Message {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

func (c *router) code() string { m := c.taken(); return m[len(m)-1].Code }

type texts struct{}

func (texts) Locale(asked, accepted, region string) string {
	return strings.Join([]string{asked, accepted, region}, "|")
}

func (texts) Compose(locale, purpose, code string) string {
	return code + " " + purpose + " in " + locale
}

// A metrics counts messages, and the outcomes of requests and answers.
type metrics struct {
	mu               sync.Mutex
	counts, outcomes map[string]int
}

func (t *metrics) CountMessage(event, provider, region string) {
	t.add(&t.counts, event, provider, region)
}

func (t *metrics) CountRequest(outcome, region string) {
	t.add(&t.outcomes, "requested", outcome, region)
}

func (t *metrics) CountAttempt(outcome, region string) {
	t.add(&t.outcomes, "checked", outcome, region)
}
func (t *metrics) ObserveDelay(provider string, _ time.Duration) {
	t.add(&t.outcomes, "delay", provider)
}

func (t *metrics) add(to *map[string]int, names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *to == nil {
		*to = make(map[string]int)
	}
	(*to)[strings.Join(names, " ")]++
}

func (t *metrics) want(tb testing.TB, want map[string]int) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !maps.Equal(t.counts, want) {
		tb.Errorf("counted %v; want %v", t.counts, want)
	}
}

// A world is a service on an embedded store, with couriers, in a bubble of time of its own.
type world struct {
	*otp.Service
	t       *testing.T
	options otp.Options
	router  *router
	metrics *metrics
	stop    func() // ends the couriers as a service does
}

func inWorld(t *testing.T, change func(*otp.Options), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		redis := redisstore.StartEmbedded()
		defer redis.Close()
		w := &world{t: t, router: new(router), metrics: new(metrics)}
		w.options = otp.Options{
			Router: w.router, Texts: texts{}, Metrics: w.metrics, Log: slog.New(slog.DiscardHandler),
			Secret: []byte(strings.Repeat("s", 32)), Regions: []string{"*"},
			Policy: otp.Policy{
				Length: 6, TTL: 2 * time.Minute, MaxAttempts: 5, DailyAttempts: 30,
				PerPhone: otp.Limit{Max: 3, Window: 10 * time.Minute}, PerAddress: otp.Limit{Max: 30, Window: 10 * time.Minute},
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
	s, err := otp.New(w.options)
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

// verify answers with the text and a redeem that gives spent and err.
func (w *world) verify(a otp.Answer, text string, spent bool, err error) error {
	w.t.Helper()
	code, formatErr := w.ReadCode(text)
	if formatErr != nil {
		w.t.Fatalf("ReadCode(%s): %v", text, formatErr)
	}
	a.Code = code
	return w.Verify(w.t.Context(), a, func(context.Context, otp.ChallengeID) (bool, error) { return spent, err })
}

// want expects the state of an accepted request, or that nothing is known where it is empty.
func (w *world) want(a otp.Accepted, want otp.State) otp.Status {
	w.t.Helper()
	synctest.Wait()
	got, err := w.Status(w.t.Context(), a.Ticket)
	if got.State != want || (want == "") != errors.Is(err, otp.ErrUnknown) || want != "" && err != nil {
		w.t.Fatalf("Status: %q, %v; want %q", got.State, err, want)
	}
	return got
}

var errDown = errors.New("down")

// stuck takes no message until ctx is done.
func stuck(ctx context.Context, _ otp.Message) (otp.Handoff, error) {
	<-ctx.Done()
	return otp.Handoff{}, ctx.Err()
}

// takes lets a message pass after a while.
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

func TestDelivery(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		a := w.request(otp.Request{Phone: iranian, Locale: "fa-IR", Accepted: "de"})
		w.want(a, otp.Sent)
		m := w.router.taken()[0]
		want := otp.Message{
			ID: m.ID, Send: 1, To: m.To, Region: "IR", Channel: otp.SMS, Code: m.Code,
			Text: m.Code + " login in fa-IR|de|IR", Locale: "fa-IR", TTL: 2 * time.Minute,
		}
		if m != want || m.To.E164() != iranian.E164() || len(m.Code) != 6 || !strings.HasSuffix(m.ID, "-1") {
			t.Errorf("message %#v; want %#v", m, want)
		}
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: m.ID, Delivered: true}); err != nil {
			t.Errorf("Report: %v", err)
		}
		w.want(a, otp.Delivered)
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: "unknown", Delivered: true}); err != nil {
			t.Errorf("Report of an unknown message: %v; want it ignored", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, m.Code, true, nil); err != nil {
			t.Errorf("Verify: %v", err)
		}
		w.want(a, "")
		w.metrics.want(t, map[string]int{"sent pigeon IR": 1, "delivered pigeon IR": 1, "verified pigeon IR": 1})
		time.Sleep(time.Minute)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d messages; want one", n)
		}
	})
}

func TestFailedDelivery(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.ResendAfter = 30 * time.Second }, func(w *world) {
		w.router.set(func(context.Context, otp.Message) (otp.Handoff, error) { return otp.Handoff{}, errDown })
		for range 10 { // it counts against no limit
			if status := w.want(w.request(otp.Request{Phone: iranian}), otp.Failed); status.ResendIn != 0 {
				t.Errorf("resend in %v; want 0", status.ResendIn)
			}
		}
		w.metrics.want(t, map[string]int{"failed none IR": 10})
		if err := w.verify(otp.Answer{Phone: iranian}, w.router.code(), true, nil); err != nil {
			t.Errorf("the code of a message that may have arrived: %v", err)
		}

		w.router.set(func(context.Context, otp.Message) (otp.Handoff, error) {
			return otp.Handoff{}, fmt.Errorf("answered 400: %w", otp.ErrUndeliverable)
		})
		a := w.request(otp.Request{Phone: german})
		if status := w.want(a, otp.Failed); status.ResendIn < 29*time.Second {
			t.Errorf("after a rejection resend in %v; want the send to count", status.ResendIn)
		}

		w.router.set(nil)
		a = w.request(otp.Request{Phone: iranian})
		w.want(a, otp.Sent)
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: w.router.taken()[11].ID}); err != nil {
			t.Fatal(err)
		}
		w.want(a, otp.Failed)
		w.metrics.want(t, map[string]int{"failed none IR": 10, "verified none IR": 1, "failed none DE": 1, "sent pigeon IR": 1, "failed pigeon IR": 1})
	})
}

// TestNoProvider holds that a message for which no provider is found fails in time, and not before.
func TestNoProvider(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.router.set(stuck)
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(14500 * time.Millisecond)
		w.want(a, otp.Queued)
		time.Sleep(time.Second)
		w.want(a, otp.Failed)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d couriers had the message; want one", n)
		}
	})
}

// TestTakenOver holds that a message of a copy that died goes out, soon and once.
func TestTakenOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		dead, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		var tickets []otp.Accepted
		for i := range 5 {
			a, err := dead.Request(w.t.Context(), otp.Request{Phone: parse(fmt.Sprintf("+98912123456%d", i)), Address: address})
			if err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, a)
		}
		time.Sleep(3500 * time.Millisecond)
		if n := len(w.router.taken()); n != 0 {
			t.Fatalf("%d messages were taken out of the hands of another copy", n)
		}
		time.Sleep(6500 * time.Millisecond)
		for _, a := range tickets {
			w.want(a, otp.Sent)
		}
		if n := len(w.router.taken()); n != 5 {
			t.Errorf("%d messages; want 5", n)
		}
	})
}

// TestLeftBehind holds that nothing of a dead copy is sent when it is of no use any more, and that it is reported.
func TestLeftBehind(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.PerPhone.Max = 1 }, func(w *world) {
		dead, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		w.stop()
		if _, err := dead.Request(w.t.Context(), otp.Request{Phone: iranian, Address: address}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Minute + time.Second)
		_, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		if n := len(w.router.taken()); n != 0 {
			t.Errorf("%d messages with a code that is dead", n)
		}
		w.metrics.want(t, map[string]int{"failed none IR": 1})
		w.request(otp.Request{Phone: iranian}) // the send was given back
	})
}

// TestWaited holds that a message that has waited for a courier is not sent when its code was used meanwhile.
func TestWaited(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		w.stop()
		for used := range 2 {
			waits := w.request(otp.Request{Phone: iranian})
			time.Sleep(time.Second)
			if used == 1 {
				if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(w.t.Context())
			var running sync.WaitGroup
			running.Go(func() { w.Deliver(ctx) })
			if n := len(w.router.taken()); n != 2 {
				t.Errorf("%d messages, the code used: %t; want two", n, used == 1)
			}
			if used == 0 {
				w.want(waits, otp.Sent)
			}
			cancel()
			running.Wait()
		}
	})
}

// TestCutOff holds that a courier who cannot reach the store does not send what others may have by now.
func TestCutOff(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stop()
		store := &unsteady{Store: w.options.Store}
		w.options.Store = store
		w.Service, w.stop = w.copy()
		var mu sync.Mutex
		var tries []time.Duration
		began := time.Now()
		w.router.search = func(may func() error) error {
			for {
				if err := may(); err != nil {
					return err
				}
				mu.Lock()
				tries = append(tries, time.Since(began))
				mu.Unlock()
				time.Sleep(time.Second)
			}
		}
		store.set(100)
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(9500 * time.Millisecond)
		mu.Lock()
		if n := len(tries); n != 4 && n != 5 {
			t.Errorf("tries after %v; want them to end with the lease, after four seconds", tries)
		}
		mu.Unlock()
		w.router.search = nil
		store.set(0)
		time.Sleep(10 * time.Second)
		w.want(a, otp.Sent)
	})
}

// TestSlowDelivery holds that a message that takes long stays in one pair of hands.
func TestSlowDelivery(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		_, stop := w.copy()
		defer stop()
		w.router.set(takes(14 * time.Second))
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(14500 * time.Millisecond)
		w.want(a, otp.Sent)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d couriers had the message; want one", n)
		}
	})
}

// TestPointless holds that the search for a provider ends with the challenge.
func TestPointless(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		ended := make(chan error, 1)
		w.router.set(func(ctx context.Context, m otp.Message) (otp.Handoff, error) {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return otp.Handoff{}, ctx.Err()
		})
		a := w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		select {
		case err := <-ended:
			if !errors.Is(err, otp.ErrNotLive) {
				t.Errorf("it ended with %v; want ErrNotLive", err)
			}
		default:
			t.Error("the message is still carried")
		}
		w.want(a, "")
		w.metrics.want(t, map[string]int{"verified none IR": 1})
	})
}

// TestBurst holds that more messages than there are couriers wait, and that each goes out once.
func TestBurst(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.PerAddress = otp.Limit{} }, func(w *world) {
		const messages = 700
		w.router.set(takes(4 * time.Second))
		for i := range messages {
			w.request(otp.Request{Phone: parse(fmt.Sprintf("+989121234%03d", i))})
		}
		time.Sleep(50 * time.Second)
		sent := make(map[string]int)
		for _, m := range w.router.taken() {
			sent[m.To.E164()]++
		}
		if len(sent) != messages {
			t.Errorf("%d of %d messages went out", len(sent), messages)
		}
		for phone, n := range sent {
			if n != 1 {
				t.Errorf("%d messages to %s; want one", n, phone)
			}
		}
	})
}

func TestDeliverEnds(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.router.set(takes(3 * time.Second))
		a := w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		began := time.Now()
		w.stop()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Deliver ended after %v; want it to end with the message in hand", took)
		}
		w.want(a, otp.Sent)

		_, w.stop = w.copy()
		w.router.set(stuck)
		dead := w.request(otp.Request{Phone: german}) // by a service whose couriers have ended
		time.Sleep(8 * time.Second)
		if n := len(w.router.taken()); n != 2 {
			t.Fatalf("%d messages; want two", n)
		}
		began = time.Now()
		w.stop()
		if took := time.Since(began); took != otp.DrainTimeout {
			t.Errorf("Deliver ended after %v; want %v", took, otp.DrainTimeout)
		}
		w.want(dead, otp.Queued) // for another copy
		w.router.set(nil)
		_, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		w.want(dead, otp.Sent)
	})
}

// An unsteady store cannot be asked for a while about its messages.
type unsteady struct {
	otp.Store
	mu     sync.Mutex
	faults int // to come
}

func (u *unsteady) set(faults int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = faults
}

func (u *unsteady) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.faults--; u.faults >= 0 {
		return otp.ErrUnavailable
	}
	return nil
}

func (u *unsteady) Settle(ctx context.Context, p otp.Lease, o otp.Outcome) error {
	if err := u.fault(); err != nil {
		return err
	}
	return u.Store.Settle(ctx, p, o)
}

func (u *unsteady) Claim(ctx context.Context, n int) ([]otp.Lease, error) {
	if err := u.fault(); err != nil {
		return nil, err
	}
	return u.Store.Claim(ctx, n)
}

func (u *unsteady) Renew(ctx context.Context, p otp.Lease) (time.Time, error) {
	if err := u.fault(); err != nil {
		return time.Time{}, err
	}
	return u.Store.Renew(ctx, p)
}

func TestSettlesAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stop()
		w.options.Store = &unsteady{Store: w.options.Store, faults: 2}
		w.Service, w.stop = w.copy()
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(20 * time.Second)
		w.want(a, otp.Sent)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("the message went out %d times; want once", n)
		}
	})
}

// TestChangedSecret holds that a message that this copy cannot read is left to one that can.
func TestChangedSecret(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		old, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		w.stop()
		w.options.Secret = []byte(strings.Repeat("t", 32))
		w.Service, w.stop = w.copy()
		a, err := old.Request(w.t.Context(), otp.Request{Phone: iranian, Address: address})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if status, err := old.Status(w.t.Context(), a.Ticket); status.State != otp.Queued || err != nil || len(w.router.taken()) != 0 {
			t.Errorf("Status: %v, %v, %d messages; want queued and none", status.State, err, len(w.router.taken()))
		}
		if _, err := w.Status(w.t.Context(), a.Ticket); !errors.Is(err, otp.ErrUnknown) {
			t.Errorf("Status of a ticket under another secret: %v; want ErrUnknown", err)
		}
		w.stop()
		w.options.Secret = []byte(strings.Repeat("s", 32))
		w.Service, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		w.want(a, otp.Sent)
	})
}

func TestChannels(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for _, tc := range []struct {
			r    otp.Request
			want string // empty: ErrChannel
		}{
			{otp.Request{Phone: iranian}, otp.SMS},
			{otp.Request{Phone: iranian, Channel: otp.Telegram}, otp.Telegram},
			{otp.Request{Phone: german}, otp.WhatsApp},
			{otp.Request{Phone: german, Channel: otp.Voice}, otp.Voice},
			{otp.Request{Phone: german, Channel: otp.SMS}, ""},
			{otp.Request{Phone: iranian, Channel: otp.Voice}, ""},
		} {
			tc.r.Address = address
			before := len(w.router.taken())
			a, err := w.Request(w.t.Context(), tc.r)
			if tc.want == "" {
				if !errors.Is(err, otp.ErrChannel) {
					t.Errorf("Request by %s: %v; want ErrChannel", tc.r.Channel, err)
				}
				continue
			}
			sent := w.router.taken()[before:]
			if err != nil || a.Channel != tc.want || len(sent) != 1 || sent[0].Channel != tc.want {
				t.Errorf("Request by %q: by %q, %v, %v; want %s", tc.r.Channel, a.Channel, sent, err, tc.want)
			}
		}
	})
}

func TestTickets(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		user := uuid.Must(uuid.NewV7())
		first, second := w.request(otp.Request{Phone: iranian}), w.request(otp.Request{Phone: iranian, Purpose: otp.ForPhone(user)})
		w.want(first, otp.Sent)
		w.want(second, otp.Sent)
		if first.Ticket == w.request(otp.Request{Phone: iranian}).Ticket {
			t.Error("two requests have one ticket")
		}
		for _, ticket := range []string{"", "x", "!!", strings.Repeat("A", 100), first.Ticket[1:], first.Ticket + "A", strings.ToUpper(first.Ticket)} {
			if _, err := w.Status(w.t.Context(), ticket); !errors.Is(err, otp.ErrUnknown) {
				t.Errorf("Status(%s): %v; want ErrUnknown", ticket, err)
			}
		}
		if err := w.verify(otp.Answer{Phone: iranian}, w.router.code(), true, nil); err != nil {
			t.Fatal(err)
		}
		w.want(first, "")
		w.want(second, otp.Sent)
	})
}
