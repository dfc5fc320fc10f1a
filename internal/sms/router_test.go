package sms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

var errDown = errors.New("down")

// A bird is a provider that answers as its errors say in turn, the last one for ever.
type bird struct {
	channels []string
	mu       sync.Mutex
	errs     []error
	tries    int
}

// errHangs makes a bird answer nothing until ctx is done.
var errHangs = errors.New("hangs")

func (b *bird) Channels() []string { return b.channels }

func (b *bird) Send(ctx context.Context, _ otp.Message) (string, error) {
	b.mu.Lock()
	b.tries++
	var err error
	if len(b.errs) > 0 {
		err = b.errs[0]
		b.errs = b.errs[min(1, len(b.errs)-1):]
	}
	b.mu.Unlock()
	if errors.Is(err, errHangs) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "an-id", err
}

func (b *bird) tried() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

func (b *bird) set(errs ...error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errs = errs
}

func sms(errs ...error) *bird { return &bird{channels: []string{otp.SMS}, errs: errs} }

// A metrics counts.
type metrics struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *metrics) CountMessage(event, provider, region string) {
	t.add(event + " " + provider + " " + region)
}
func (t *metrics) ObserveCall(provider, _ string, _ time.Duration) { t.add("tried " + provider) }

func (t *metrics) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int)
	}
	t.counts[what]++
}

// A yard is a router over birds a, b, c….
type yard struct {
	*Router
	birds   []*bird
	metrics metrics
	log     bytes.Buffer
}

func newYard(birds ...*bird) *yard {
	y := &yard{birds: birds}
	o := RouterOptions{Metrics: &y.metrics, Log: slog.New(slog.NewTextHandler(&y.log, nil)), Routes: map[string][]string{"IR": {"b", "a"}}}
	for i, b := range birds {
		name := string(rune('a' + i))
		o.Order = append(o.Order, name)
		o.Providers = append(o.Providers, Opened{Name: name, Reports: i == 0, Provider: b})
	}
	if len(birds) < 2 {
		o.Routes = nil
	}
	y.Router = NewRouter(o)
	return y
}

func german(send int) otp.Message {
	m := message
	m.To, m.Region, m.Send = phone.Stored("+4915123456789"), "DE", send
	return m
}

func tries(birds []*bird) (n []int) {
	for _, b := range birds {
		n = append(n, b.tried())
	}
	return n
}

func TestRouter(t *testing.T) {
	rejected, refused := &Failure{Status: 400, Code: "21211", Scope: ScopeNumber}, &Failure{Status: 400, Code: "21610", Scope: ScopeMessage}
	iranian := german(1)
	iranian.Region = "IR"
	voice := german(1)
	voice.Channel = otp.Voice
	for _, tc := range []struct {
		name  string
		birds []*bird
		m     otp.Message
		want  string // the provider; empty: none took it
		err   error
		tries []int
		took  time.Duration
	}{
		{"the first takes it", []*bird{sms(), sms()}, german(1), "a", nil, []int{1, 0}, 0},
		{"the second takes it", []*bird{sms(errDown), sms()}, german(1), "b", nil, []int{1, 1}, 0},
		{"a throttle hands over", []*bird{sms(&Failure{Status: 429, RetryAfter: time.Hour}), sms()}, german(1), "b", nil, []int{1, 1}, 0},
		{"a 5xx hands over", []*bird{sms(&Failure{Status: 503}), sms()}, german(1), "b", nil, []int{1, 1}, 0},
		{"one that hangs hands over", []*bird{sms(errHangs), sms()}, german(1), "b", nil, []int{1, 1}, 2500 * time.Millisecond},
		{"a rejection is final", []*bird{sms(errDown), sms(rejected), sms()}, german(1), "", otp.ErrUndeliverable, []int{1, 1, 0}, 0},
		{"a refusal hands over", []*bird{sms(refused), sms()}, german(1), "b", nil, []int{1, 1}, 0},
		{"a refusal is asked for once", []*bird{sms(refused), sms(errDown, errDown, nil)}, german(1), "b", nil, []int{1, 3}, 3 * time.Second},
		{"refused by all", []*bird{sms(refused), sms(refused)}, german(1), "", otp.ErrUndeliverable, []int{1, 1}, 0},
		{"the route of the region", []*bird{sms(), sms()}, iranian, "b", nil, []int{0, 1}, 0},
		{"a second round", []*bird{sms(errDown, nil), sms(errDown)}, german(1), "a", nil, []int{2, 1}, time.Second},
		{"three rounds", []*bird{sms(errDown), sms(errDown)}, german(1), "", errDown, []int{3, 3}, 3 * time.Second},
		{"the only one, in the third round", []*bird{sms(errDown, errDown, nil)}, german(1), "a", nil, []int{3}, 3 * time.Second},
		{"the first resend", []*bird{sms(), sms()}, german(2), "a", nil, []int{1, 0}, 0},
		{"the second resend", []*bird{sms(), sms()}, german(3), "b", nil, []int{0, 1}, 0},
		{"the second resend, handed over", []*bird{sms(), sms(errDown)}, german(3), "a", nil, []int{1, 1}, 0},
		{"the third resend, of three", []*bird{sms(), sms(), sms()}, german(4), "c", nil, []int{0, 0, 1}, 0},
		{"the third resend, of two", []*bird{sms(), sms()}, german(4), "a", nil, []int{1, 0}, 0},
		{"the channel", []*bird{sms(), {channels: []string{otp.SMS, otp.Voice}}}, voice, "b", nil, []int{0, 1}, 0},
		{"no such channel", []*bird{sms(), sms()}, voice, "", errNotAccepted, []int{0, 0}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(tc.birds...)
				began := time.Now()
				got, err := y.Send(t.Context(), tc.m, always)
				if took := time.Since(began); got.Provider != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.want != "") || took != tc.took {
					t.Errorf("Send = %+v, %v after %v; want %q, %v after %v", got, err, took, tc.want, tc.err, tc.took)
				}
				if n := tries(tc.birds); !slices.Equal(n, tc.tries) {
					t.Errorf("asked %v times; want %v", n, tc.tries)
				}
				if wantID := map[bool]string{true: "an-id"}[tc.want == "a"]; got.ID != wantID {
					t.Errorf("identifier %q; want %q: only a reports", got.ID, wantID)
				}
				wantTally := make(map[string]int)
				for i, n := range tc.tries {
					name := string(rune('a' + i))
					if n > 0 {
						wantTally["tried "+name] = n
					}
					if name == tc.want {
						n--
					}
					if n > 0 {
						wantTally["failed "+name+" "+tc.m.Region] = n
					}
				}
				if !maps.Equal(y.metrics.counts, wantTally) {
					t.Errorf("counted %v; want %v", y.metrics.counts, wantTally)
				}
				for _, private := range []string{"15123456789", tc.m.Code, "ورود"} {
					if text := y.log.String() + fmt.Sprint(err); strings.Contains(text, private) {
						t.Errorf("logged or returned %s; want no %q", text, private)
					}
				}
			})
		})
	}
}

func TestRouterChannels(t *testing.T) {
	y := newYard(sms(), &bird{channels: []string{otp.Voice, otp.SMS}}, &bird{channels: []string{otp.Telegram}})
	for region, want := range map[string][]string{"DE": {otp.SMS, otp.Voice, otp.Telegram}, "IR": {otp.Voice, otp.SMS}, "": {otp.SMS, otp.Voice, otp.Telegram}} {
		if got := y.Channels(region); !slices.Equal(got, want) {
			t.Errorf("Channels(%q) = %v; want %v", region, got, want)
		}
	}
}

func TestRouterStopsWithItsContext(t *testing.T) {
	for _, errs := range [][]error{{errHangs}, {errDown}} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(sms(errs...))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := y.Send(ctx, german(1), always)
			if took := time.Since(began); err == nil || took != 500*time.Millisecond || y.birds[0].tried() != 1 {
				t.Errorf("Send = %v after %v and %d tries; want an error after 500ms and one", err, took, y.birds[0].tried())
			}
		})
	}
}

// TestRouterRests holds that a provider that fails is left alone, and that one message at a time tries it again.
func TestRouterRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(sms(errDown), sms())
		send := func(want string) {
			t.Helper()
			if got, err := y.Send(t.Context(), german(1), always); got.Provider != want || err != nil {
				t.Fatalf("Send = %+v, %v; want %s", got, err, want)
			}
		}
		for range 8 {
			send("b")
		}
		if n := y.birds[0].tried(); n != restAfter {
			t.Errorf("asked %d times; want %d and then a rest", n, restAfter)
		}
		time.Sleep(restFor + time.Millisecond)
		y.birds[0].set(errHangs)
		var sending sync.WaitGroup
		for range 5 { // one of them tries the first
			sending.Go(func() { send("b") })
		}
		sending.Wait()
		if n := y.birds[0].tried(); n != restAfter+1 {
			t.Errorf("asked %d times; want one more", n-restAfter)
		}
		time.Sleep(restFor + time.Millisecond)
		y.birds[0].set(nil)
		send("a")
		send("a")
		if log := y.log.String(); !strings.Contains(log, "provider rests") || !strings.Contains(log, "provider is back") {
			t.Errorf("logged %s; want the changes of the provider's state", log)
		}
	})
}

// TestRouterServesOthers holds that what a provider does not take is no reason to keep from it what it does: nobody can
// make it rest with numbers that it refuses.
func TestRouterServesOthers(t *testing.T) {
	for name, err := range map[string]error{
		"refused":  &Failure{Status: 400, Scope: ScopeMessage},
		"rejected": &Failure{Status: 400, Scope: ScopeNumber},
		"abroad":   errNotIranian,
	} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(sms(err))
			for range 5 * restAfter {
				if _, got := y.Send(t.Context(), german(1), always); !errors.Is(got, otp.ErrUndeliverable) {
					t.Fatalf("%s: Send = %v; want ErrUndeliverable", name, got)
				}
			}
			y.birds[0].set(nil)
			began := time.Now()
			if got, err := y.Send(t.Context(), german(1), always); got.Provider != "a" || err != nil || time.Since(began) > 0 {
				t.Errorf("%s: then Send = %+v, %v after %v; want a at once", name, got, err, time.Since(began))
			}
		})
	}
}

// TestRefusals holds which answers are about one message alone.
func TestRefusals(t *testing.T) {
	vonage := func(status string) string { return `{"messages":[{"status":"` + status + `","error-text":"no"}]}` }
	kavenegar := func(status, entries string) string {
		return `{"return":{"status":` + status + `,"message":"no"},"entries":` + entries + `}`
	}
	smsIR := func(base string) Provider { return NewSMSIR(SMSIROptions{APIKey: "key", Line: 1, BaseURL: base}) }
	for name, tc := range map[string]struct {
		open   func(base string) Provider
		status int
		body   string
		want   bool
	}{
		"twilio country":    {func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21408,"message":"no"}`, true},
		"twilio stop":       {func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21610,"message":"no"}`, true},
		"twilio other":      {func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21212,"message":"no"}`, true},
		"twilio login":      {func(b string) Provider { return openTwilio(t, b) }, 401, `{"code":20003,"message":"no"}`, false},
		"vonage barred":     {func(b string) Provider { return openVonage(t, b) }, 200, vonage("7"), true},
		"vonage no route":   {func(b string) Provider { return openVonage(t, b) }, 200, vonage("6"), true},
		"vonage balance":    {func(b string) Provider { return openVonage(t, b) }, 200, vonage("9"), false},
		"whatsapp pair":     {func(b string) Provider { return openWhatsApp(t, b) }, 400, `{"error":{"code":131056,"message":"no"}}`, true},
		"whatsapp template": {func(b string) Provider { return openWhatsApp(t, b) }, 404, `{"error":{"code":132001,"message":"no"}}`, false},
		"kavenegar blocked": {func(b string) Provider { return openKavenegar(t, KavenegarOptions{BaseURL: b}) }, 200, kavenegar("200", `[{"messageid":1,"status":14}]`), true},
		"kavenegar credit":  {func(b string) Provider { return openKavenegar(t, KavenegarOptions{BaseURL: b}) }, 418, kavenegar("418", "null"), false},
		"smsir blocked":     {smsIR, 200, `{"status":115,"message":"no"}`, true},
		"smsir credit":      {smsIR, 200, `{"status":102,"message":"no"}`, false},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		_, err := tc.open(url).Send(t.Context(), message)
		if f, ok := errors.AsType[*Failure](err); !ok || (f.Scope == ScopeMessage) != tc.want || f.Scope == ScopeNumber {
			t.Errorf("%s: Send = %#v; want it refused: %t", name, err, tc.want)
		}
	}
}

// TestRouterWaitsForRest holds that a message outlives the rest of the only provider.
func TestRouterWaitsForRest(t *testing.T) {
	for name, errs := range map[string][]error{
		"a rest of the breaker": {errDown, errDown, errDown, errDown, errDown, nil},
		"a Retry-After":         {&Failure{Status: 429, RetryAfter: 6 * time.Second}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(sms(errs...))
			if len(errs) > 5 {
				if _, err := y.Send(t.Context(), german(1), always); !errors.Is(err, errDown) {
					t.Fatal(err)
				}
			}
			began := time.Now()
			got, err := y.Send(t.Context(), german(1), always)
			if took := time.Since(began); got.Provider != "a" || err != nil || took < 5*time.Second || took > 7*time.Second {
				t.Errorf("%s: Send = %+v, %v after %v; want it to wait", name, got, err, took)
			}
		})
	}
}

func TestResultOfATry(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "taken"},
		{&Failure{Status: 400, Scope: ScopeNumber}, "rejected"},
		{&Failure{Status: 400, Scope: ScopeMessage}, "refused"},
		{&Failure{Status: 503}, "failed"},
		{errSlow, "failed"},
	} {
		if got := result(tc.err); got != tc.want {
			t.Errorf("result(%v) = %s; want %s", tc.err, got, tc.want)
		}
	}
}

// TestRouterBlamesNobodyForOurOwnEnd holds that a call that we ended says nothing about the provider.
func TestRouterBlamesNobodyForOurOwnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(sms(errHangs))
		for range 2 * restAfter {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := y.Send(ctx, german(1), always); err == nil {
				t.Fatal("it was taken")
			}
		}
		if n := y.birds[0].tried(); n != 2*restAfter || len(y.metrics.counts) != 0 {
			t.Errorf("asked %d times, counted %v; want no rest and no failure", n, y.metrics.counts)
		}
	})
}

func always() error { return nil }

// TestRouterAsksWhetherItMay holds that nothing is sent by a courier who must not any more.
func TestRouterAsksWhetherItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(sms(errDown), sms(errDown))
		asked, lost := 0, errors.New("lost")
		_, err := y.Send(t.Context(), german(1), func() error {
			if asked++; asked > 3 {
				return lost
			}
			return nil
		})
		if n := tries(y.birds); !errors.Is(err, lost) || !slices.Equal(n, []int{2, 1}) {
			t.Errorf("Send = %v after %v tries; want it to end before the fourth", err, n)
		}
	})
}
