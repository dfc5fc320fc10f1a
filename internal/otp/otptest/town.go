package otptest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

// patience is how long a story waits for a message. It only decides how late a story fails.
const patience = 5 * time.Minute

// In the stories about strangers, people use an otp.Service on the store under test. The story drives the clock of the
// store. A code lives for as long as it may, so that it is live on a slow machine when it is needed.

// open opens a store with a policy.
type open func(t *testing.T, p otp.Policy) Store

// A town is a service with its couriers, and the phone of an owner whom a stranger attacks.
type town struct {
	t      *testing.T
	ctx    context.Context
	store  Store
	policy otp.Policy
	clock  *clock.Clock
	driven time.Duration // by which the story has moved the clock
	post   *post

	*otp.Service
	answers atomic.Int64 // so far; they go to both copies in turn
	twin    *otp.Service // another copy of the service on the same store
	expired *otp.Service // a copy whose device tokens expire at once

	phone phone.Number // of the owner
	other phone.Number // of the stranger
	home  netip.Addr   // of the owner

	newest letter               // the last one with the phone's open code
	sends  map[string]int       // accepted requests, by challenge
	ends   map[string]time.Time // of the codes that have not been used, by challenge
}

// townPolicy holds the defaults of the service, apart from the life of a code.
var townPolicy = otp.Policy{
	Length:          6,
	TTL:             otp.MaxLife,
	MaxAttempts:     5,
	ResendAfter:     30 * time.Second,
	PerPhone:        otp.Limit{Max: 3, Window: 10 * time.Minute},
	PerAddress:      otp.Limit{Max: 30, Window: 10 * time.Minute},
	DailyAttempts:   30,
	TriesPerAddress: otp.Limit{Max: 20, Window: 10 * time.Minute},
}

// newTown starts a town whose phones, addresses and keys no other town shares.
func newTown(t *testing.T, begin open, change ...func(*otp.Policy)) *town {
	t.Helper()
	p := townPolicy
	for _, c := range change {
		c(&p)
	}
	w := &town{
		t:      t,
		ctx:    t.Context(),
		store:  begin(t, p),
		policy: p,
		clock:  new(clock.Clock),
		post:   &post{letters: make(chan otp.Message, 1000), arrived: make(map[string]bool)},
		phone:  phone.Stored("+989121234567"),
		other:  phone.Stored("+989121234568"),
		home:   netip.MustParseAddr("192.0.2.1"),
		sends:  make(map[string]int),
		ends:   make(map[string]time.Time),
	}
	secret := []byte(rand.Text() + rand.Text())
	w.Service = w.copy(secret, 180*24*time.Hour)
	w.twin = w.copy(secret, 180*24*time.Hour)
	w.expired = w.copy(secret, time.Nanosecond)
	return w
}

// copy starts a copy of the service, and ends its couriers with the test.
func (w *town) copy(secret []byte, deviceTTL time.Duration) *otp.Service {
	w.t.Helper()
	s, err := otp.New(otp.Options{
		Store:     w.store,
		Router:    w.post,
		Texts:     noTexts{},
		Metrics:   noMetrics{},
		Log:       slog.New(slog.DiscardHandler),
		Clock:     w.clock,
		Secret:    secret,
		Policy:    w.policy,
		DeviceTTL: deviceTTL,
		Regions:   []string{"*"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		s.Deliver(ctx)
		close(done)
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// age moves the clock of the store and of the services on.
func (w *town) age(d time.Duration) {
	w.t.Helper()
	w.store.Age(w.t, d)
	w.driven += d
	w.clock.Follow(w.driven)
}

func (w *town) now() time.Time { return time.Now().Add(w.driven) }

// A letter is an accepted request and the message that the phone received for it. A stranger sees only its ticket.
type letter struct{ ticket, challenge, code string }

// request asks for a code. It returns what the owner of the phone then knows.
func (w *town) request(r otp.Request) (letter, error) {
	w.t.Helper()
	accepted, err := w.Request(w.ctx, r)
	if err != nil {
		return letter{}, err
	}
	end := w.now().Add(accepted.ExpiresIn)
	m := w.post.next(w.t)
	if len(m.Code) != accepted.Length || m.To.E164() != r.Phone.E164() {
		w.t.Fatalf("a message of %d digits to %v; want %d to %v", len(m.Code), m.To, accepted.Length, r.Phone)
	}
	w.awaitSettled(accepted.Ticket)
	l := letter{accepted.Ticket, m.ID[:strings.LastIndex(m.ID, "-")], m.Code}
	w.sends[l.challenge]++
	w.ends[l.challenge] = end
	if r.Phone == w.phone && r.Purpose == otp.ForLogin && r.Device == "" {
		w.newest = l
	}
	return l, nil
}

// awaitSettled waits until the message of a ticket was sent or has failed, so that no copy sends it again once the
// clock has moved on.
func (w *town) awaitSettled(ticket string) {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		s, err := w.Status(w.ctx, ticket)
		if err == nil && s.State != otp.Queued {
			return
		}
		if time.Since(began) > patience {
			w.t.Fatalf("the message is %q, %v; want it sent or failed", s.State, err)
		}
	}
}

// answer answers with a text. A right code logs in, unless it is only tested.
func (w *town) answer(a otp.Answer, text string, onlyTests bool) error {
	w.t.Helper()
	copies := [...]*otp.Service{w.Service, w.twin}
	on := copies[w.answers.Add(1)%int64(len(copies))]
	code, err := on.ReadCode(text)
	if err != nil {
		w.t.Errorf("ReadCode(%s): %v", text, err)
	}
	a.Code = code
	return on.Verify(w.ctx, a, func(context.Context, otp.ChallengeID) (spent bool, err error) {
		if onlyTests {
			return false, errTested
		}
		return true, nil
	})
}

// errTested ends the test of a code that is right.
var errTested = errors.New("the code is right")

// accepts reports whether the right code would log in now. It changes nothing.
func (w *town) accepts(a otp.Answer, text string) bool {
	w.t.Helper()
	err := w.answer(a, text, true)
	if errors.Is(err, otp.ErrWrong) {
		w.t.Fatal("the right code is taken for a wrong one")
	}
	return errors.Is(err, errTested)
}

// A device is what the owner logs in with.
type device struct {
	w     *town
	token string // empty until its first login
}

// request asks for a code. A refusal is only expected from a device that is not known yet.
func (d *device) request() (letter, error) {
	d.w.t.Helper()
	l, err := d.w.request(otp.Request{Phone: d.w.phone, Address: d.w.home, Device: d.token})
	if d.token != "" && err != nil {
		d.w.t.Fatalf("a known device is refused: %v", err)
	}
	return l, err
}

// login types the code of one message, and sends the ticket of another one.
func (d *device) login(message, ticket letter) {
	d.w.t.Helper()
	a := otp.Answer{Phone: d.w.phone, Address: d.w.home, Ticket: ticket.ticket, Device: d.token}
	if err := d.w.answer(a, message.code, false); err != nil {
		d.w.t.Fatalf("the owner's code is refused, on a known device: %t: %v", d.token != "", err)
	}
	d.token = d.w.DeviceToken(d.w.phone, d.token)
	delete(d.w.ends, message.challenge)
}

// logIn asks for a code and types it.
func (d *device) logIn() {
	d.w.t.Helper()
	l, err := d.request()
	if err != nil {
		d.w.t.Fatalf("the owner is refused a code: %v", err)
	}
	d.login(l, l)
}

// known returns a device that has logged in.
func (w *town) known() *device {
	w.t.Helper()
	d := &device{w: w}
	d.logIn()
	return d
}

// A post is a router that keeps the messages. It accepts them, unless it fails.
type post struct {
	letters chan otp.Message
	arrived map[string]bool // by the message's ID; a slow courier's message is sent again by another one
	fails   atomic.Bool
}

var errPost = errors.New("the provider is down")

// Channels implements otp.Router.
func (*post) Channels(string) []string { return []string{otp.SMS} }

// Send implements otp.Router.
func (p *post) Send(_ context.Context, m otp.Message, stillHeld func() error) (otp.Handoff, error) {
	if err := stillHeld(); err != nil {
		return otp.Handoff{}, err
	}
	fails := p.fails.Load() // before the letter is handed over: the story goes on with it
	p.letters <- m
	if fails {
		return otp.Handoff{}, errPost
	}
	return otp.Handoff{Provider: "pigeon"}, nil
}

// next waits for the next message.
func (p *post) next(t *testing.T) otp.Message {
	t.Helper()
	for {
		select {
		case m := <-p.letters:
			if p.arrived[m.ID] {
				continue
			}
			p.arrived[m.ID] = true
			return m
		case <-time.After(patience):
			t.Fatal("an accepted message does not arrive")
		}
	}
}

type noTexts struct{}

func (noTexts) Locale(string, string, string) string { return "" }

func (noTexts) Compose(_, _, code string, _ time.Duration) string { return code }

type noMetrics struct{}

func (noMetrics) CountRequest(string, string)         {}
func (noMetrics) CountMessage(string, string, string) {}
func (noMetrics) CountAttempt(string, string)         {}
func (noMetrics) ObserveDelay(string, time.Duration)  {}
