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

// A fake is a provider whose calls return its errors in turn, and the last one for ever.
type fake struct {
	channels []string
	mu       sync.Mutex
	errs     []error
	calls    int
}

// errHangs makes a fake wait until ctx is done.
var errHangs = errors.New("hangs")

func (b *fake) Channels() []string { return b.channels }

func (b *fake) Send(ctx context.Context, _ otp.Message) (string, error) {
	b.mu.Lock()
	b.calls++
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

func (b *fake) called() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

func (b *fake) set(errs ...error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errs = errs
}

func sms(errs ...error) *fake { return &fake{channels: []string{otp.SMS}, errs: errs} }

// metrics counts what a router reports.
type metrics struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *metrics) CountMessage(event, provider, region string) {
	t.add(event + " " + provider + " " + region)
}
func (t *metrics) ObserveCall(provider, _ string, _ time.Duration) { t.add("called " + provider) }

func (t *metrics) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int)
	}
	t.counts[what]++
}

// A fakeRouter is a Router over fakes that are named a, b, c….
type fakeRouter struct {
	*Router
	fakes   []*fake
	metrics metrics
	log     bytes.Buffer
}

func newFakeRouter(fakes ...*fake) *fakeRouter {
	y := &fakeRouter{fakes: fakes}
	o := RouterOptions{
		Metrics: &y.metrics,
		Log:     slog.New(slog.NewTextHandler(&y.log, nil)),
		Routes:  map[string][]string{"IR": {"b", "a"}},
	}
	for i, b := range fakes {
		name := string(rune('a' + i))
		o.Order = append(o.Order, name)
		o.Providers = append(o.Providers, Opened{Name: name, Reports: i == 0, Provider: b})
	}
	if len(fakes) < 2 {
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

func calls(fakes []*fake) (n []int) {
	for _, b := range fakes {
		n = append(n, b.called())
	}
	return n
}

// outcomes are the errors that the calls of each fake return in turn.
type outcomes [][]error

func (o outcomes) fakes() (all []*fake) {
	for _, errs := range o {
		all = append(all, sms(errs...))
	}
	return all
}

var (
	errNumber  = &Failure{Status: 400, Code: "21211", Scope: ScopeNumber}
	errMessage = &Failure{Status: 400, Code: "21610", Scope: ScopeMessage}

	iranianMessage = altered(func(m *otp.Message) { m.Region = "IR" })
	voiceMessage   = altered(func(m *otp.Message) { m.Channel = otp.Voice })
)

// altered returns a changed message.
func altered(change func(m *otp.Message)) otp.Message {
	m := german(1)
	change(&m)
	return m
}

var routerTests = []struct {
	name     string
	outcomes outcomes // Of the calls of each fake.
	m        otp.Message
	want     string // The provider; empty if none accepts it.
	err      error
	calls    []int
	took     time.Duration
}{
	{"the first accepts it", outcomes{{}, {}}, german(1), "a", nil, []int{1, 0}, 0},
	{"the second accepts it", outcomes{{errDown}, {}}, german(1), "b", nil, []int{1, 1}, 0},
	{
		"a throttle hands over",
		outcomes{{&Failure{Status: 429, RetryAfter: time.Hour}}, {}},
		german(1),
		"b",
		nil,
		[]int{1, 1},
		0,
	},
	{"a 5xx hands over", outcomes{{&Failure{Status: 503}}, {}}, german(1), "b", nil, []int{1, 1}, 0},
	{
		"one that hangs hands over",
		outcomes{{errHangs}, {}},
		german(1),
		"b",
		nil,
		[]int{1, 1},
		2500 * time.Millisecond,
	},
	{
		"a rejection is final",
		outcomes{{errDown}, {errNumber}, {}},
		german(1),
		"",
		otp.ErrUndeliverable,
		[]int{1, 1, 0},
		0,
	},
	{"a refusal hands over", outcomes{{errMessage}, {}}, german(1), "b", nil, []int{1, 1}, 0},
	{
		"a refusal is asked for once",
		outcomes{{errMessage}, {errDown, errDown, nil}},
		german(1),
		"b",
		nil,
		[]int{1, 3},
		3 * time.Second,
	},
	{"refused by all", outcomes{{errMessage}, {errMessage}}, german(1), "", otp.ErrUndeliverable, []int{1, 1}, 0},
	{"the route of the region", outcomes{{}, {}}, iranianMessage, "b", nil, []int{0, 1}, 0},
	{"a second round", outcomes{{errDown, nil}, {errDown}}, german(1), "a", nil, []int{2, 1}, time.Second},
	{"three rounds", outcomes{{errDown}, {errDown}}, german(1), "", errDown, []int{3, 3}, 3 * time.Second},
	{
		"the only one, in the third round",
		outcomes{{errDown, errDown, nil}},
		german(1),
		"a",
		nil,
		[]int{3},
		3 * time.Second,
	},
	{"the first resend", outcomes{{}, {}}, german(2), "a", nil, []int{1, 0}, 0},
	{"the second resend", outcomes{{}, {}}, german(3), "b", nil, []int{0, 1}, 0},
	{"the second resend, handed over", outcomes{{}, {errDown}}, german(3), "a", nil, []int{1, 1}, 0},
	{"the third resend, of three", outcomes{{}, {}, {}}, german(4), "c", nil, []int{0, 0, 1}, 0},
	{"the third resend, of two", outcomes{{}, {}}, german(4), "a", nil, []int{1, 0}, 0},
	{"no such channel", outcomes{{}, {}}, voiceMessage, "", errNotAccepted, []int{0, 0}, 0},
}

func TestRouter(t *testing.T) {
	for _, tc := range routerTests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newFakeRouter(tc.outcomes.fakes()...)
				began := time.Now()
				got, err := y.Send(t.Context(), tc.m, always)
				took := time.Since(began)
				failed := !errors.Is(err, tc.err) || (err == nil) != (tc.want != "")
				if got.Provider != tc.want || failed || took != tc.took {
					t.Errorf("Send = %+v, %v after %v; want %q, %v after %v", got, err, took, tc.want, tc.err, tc.took)
				}
				if n := calls(y.fakes); !slices.Equal(n, tc.calls) {
					t.Errorf("called %v times; want %v", n, tc.calls)
				}
				if wantID := map[bool]string{true: "an-id"}[tc.want == "a"]; got.ID != wantID {
					t.Errorf("identifier %q; want %q: only a reports", got.ID, wantID)
				}
				wantCounts := make(map[string]int)
				for i, n := range tc.calls {
					name := string(rune('a' + i))
					if n > 0 {
						wantCounts["called "+name] = n
					}
					if name == tc.want {
						n--
					}
					if n > 0 {
						wantCounts["failed "+name+" "+tc.m.Region] = n
					}
				}
				if !maps.Equal(y.metrics.counts, wantCounts) {
					t.Errorf("counted %v; want %v", y.metrics.counts, wantCounts)
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

func TestRouterChoosesByChannel(t *testing.T) {
	y := newFakeRouter(sms(), &fake{channels: []string{otp.SMS, otp.Voice}})
	got, err := y.Send(t.Context(), voiceMessage, always)
	if want := (otp.Handoff{Provider: "b"}); got != want || err != nil {
		t.Errorf("Send by voice = %+v, %v; want %+v", got, err, want)
	}
	if n := calls(y.fakes); !slices.Equal(n, []int{0, 1}) {
		t.Errorf("called %v times; want b once", n)
	}
}

// TestRouterChoosesByLength checks that a provider is called only with codes that it delivers, on every send.
func TestRouterChoosesByLength(t *testing.T) {
	for _, tc := range []struct {
		code string
		most []int // digits of each provider
		send int
		want string
	}{
		{"04213759", []int{8, 0}, 1, "a"},
		{"042137591", []int{8, 0}, 1, "b"},
		{"042137591", []int{8, 0}, 3, "b"},
		{"042137591", []int{8, 9}, 1, "b"},
		{"042137591", []int{8, 8}, 1, ""},
		{"042137591", []int{8}, 1, ""},
	} {
		var fakes []*fake
		for range tc.most {
			fakes = append(fakes, sms())
		}
		y := newFakeRouter(fakes...)
		for i, most := range tc.most {
			y.candidates[i].MaxCodeLength = most
		}
		m := german(tc.send)
		m.Code = tc.code
		got, err := y.Send(t.Context(), m, always)
		if got.Provider != tc.want || errors.Is(err, errNotAccepted) != (tc.want == "") {
			t.Errorf("%d digits to providers of %v = %v, %v; want %q", len(tc.code), tc.most, got, err, tc.want)
		}
		if errors.Is(err, otp.ErrUndeliverable) {
			t.Errorf("%d digits to providers of %v = %v; want an error that does not blame the number",
				len(tc.code), tc.most, err)
		}
		for i, n := range calls(fakes) {
			if name := string(rune('a' + i)); n > 0 != (name == tc.want) {
				t.Errorf("%d digits to providers of %v: %s is called %d times; want only %q once",
					len(tc.code), tc.most, name, n, tc.want)
			}
		}
	}
}

func TestRouterChannels(t *testing.T) {
	y := newFakeRouter(sms(), &fake{channels: []string{otp.Voice, otp.SMS}}, &fake{channels: []string{otp.Telegram}})
	for region, want := range map[string][]string{
		"DE": {otp.SMS, otp.Voice, otp.Telegram},
		"IR": {otp.Voice, otp.SMS},
		"":   {otp.SMS, otp.Voice, otp.Telegram},
	} {
		if got := y.Channels(region); !slices.Equal(got, want) {
			t.Errorf("Channels(%q) = %v; want %v", region, got, want)
		}
	}
}

func TestRouterStopsWithItsContext(t *testing.T) {
	for _, errs := range [][]error{{errHangs}, {errDown}} {
		synctest.Test(t, func(t *testing.T) {
			y := newFakeRouter(sms(errs...))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := y.Send(ctx, german(1), always)
			if took := time.Since(began); err == nil || took != 500*time.Millisecond || y.fakes[0].called() != 1 {
				t.Errorf("Send = %v after %v and %d calls; want an error after 500ms and one",
					err, took, y.fakes[0].called())
			}
		})
	}
}

// TestRouterServesOthers checks that a provider does not rest because of messages or numbers that it does not accept,
// or else a stranger could stop it.
func TestRouterServesOthers(t *testing.T) {
	for name, err := range map[string]error{
		"refused":  &Failure{Status: 400, Scope: ScopeMessage},
		"rejected": &Failure{Status: 400, Scope: ScopeNumber},
		"abroad":   errNotIranian,
	} {
		synctest.Test(t, func(t *testing.T) {
			y := newFakeRouter(sms(err))
			for i := range 5 * restPhones {
				if _, got := y.Send(t.Context(), asked(i, i), always); !errors.Is(got, otp.ErrUndeliverable) {
					t.Fatalf("%s: Send = %v; want ErrUndeliverable", name, got)
				}
			}
			y.fakes[0].set(nil)
			began := time.Now()
			got, err := y.Send(t.Context(), german(1), always)
			if got.Provider != "a" || err != nil || time.Since(began) > 0 {
				t.Errorf("%s: then Send = %+v, %v after %v; want a at once", name, got, err, time.Since(began))
			}
		})
	}
}

// TestScopeMessage checks which answers are about one message alone.
func TestScopeMessage(t *testing.T) {
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
		"twilio country": {
			func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21408,"message":"no"}`, true,
		},
		"twilio stop": {
			func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21610,"message":"no"}`, true,
		},
		"twilio other": {
			func(b string) Provider { return openTwilio(t, b) }, 400, `{"code":21212,"message":"no"}`, true,
		},
		"twilio login": {
			func(b string) Provider { return openTwilio(t, b) }, 401, `{"code":20003,"message":"no"}`, false,
		},
		"vonage barred":   {func(b string) Provider { return openVonage(t, b) }, 200, vonage("7"), true},
		"vonage no route": {func(b string) Provider { return openVonage(t, b) }, 200, vonage("6"), true},
		"vonage balance":  {func(b string) Provider { return openVonage(t, b) }, 200, vonage("9"), false},
		"whatsapp pair": {
			func(b string) Provider { return openWhatsApp(t, b) }, 400, `{"error":{"code":131056,"message":"no"}}`,
			true,
		},
		"whatsapp template": {
			func(b string) Provider { return openWhatsApp(t, b) }, 404, `{"error":{"code":132001,"message":"no"}}`,
			false,
		},
		"kavenegar blocked": {
			func(b string) Provider { return openKavenegar(t, KavenegarOptions{BaseURL: b}) }, 200,
			kavenegar("200", `[{"messageid":1,"status":14}]`), true,
		},
		"kavenegar credit": {
			func(b string) Provider { return openKavenegar(t, KavenegarOptions{BaseURL: b}) }, 418,
			kavenegar("418", "null"), false,
		},
		"smsir blocked": {smsIR, 200, `{"status":115,"message":"no"}`, true},
		"smsir credit":  {smsIR, 200, `{"status":102,"message":"no"}`, false},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		_, err := tc.open(url).Send(t.Context(), message)
		f, ok := errors.AsType[*Failure](err)
		if !ok || (f.Scope == ScopeMessage) != tc.want || f.Scope == ScopeNumber {
			t.Errorf("%s: Send = %#v; want ScopeMessage: %t", name, err, tc.want)
		}
	}
}

// TestRouterWaitsForRest checks that a message waits while the only provider rests.
func TestRouterWaitsForRest(t *testing.T) {
	for name, errs := range map[string][]error{
		"a rest of the breaker": append(slices.Repeat([]error{errDown}, restPhones), nil),
		"a Retry-After":         {&Failure{Status: 429, RetryAfter: 6 * time.Second}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			y := newFakeRouter(sms(errs...))
			if len(errs) > restPhones {
				for i := range restPhones {
					ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
					_, _ = y.Send(ctx, asked(i, i), always) // which fails, and waits for the next round
					cancel()
				}
			}
			began := time.Now()
			got, err := y.Send(t.Context(), german(1), always)
			took := time.Since(began)
			if got.Provider != "a" || err != nil || took < 5*time.Second || took > 7*time.Second {
				t.Errorf("%s: Send = %+v, %v after %v; want it to wait", name, got, err, took)
			}
		})
	}
}

func TestResult(t *testing.T) {
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

// TestRouterIgnoresCancelledCalls checks that a call that this service ended says nothing about the provider.
func TestRouterIgnoresCancelledCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newFakeRouter(sms(errHangs))
		for range 2 * restPhones {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := y.Send(ctx, german(1), always); err == nil {
				t.Fatal("Send: no error")
			}
		}
		if n := y.fakes[0].called(); n != 2*restPhones || len(y.metrics.counts) != 0 {
			t.Errorf("called %d times, counted %v; want no rest and no failure", n, y.metrics.counts)
		}
	})
}

func always() error { return nil }

// TestRouterAsksWhetherStillHeld checks that no provider is called once the lease is lost.
func TestRouterAsksWhetherStillHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newFakeRouter(sms(errDown), sms(errDown))
		asked, lost := 0, errors.New("lost")
		_, err := y.Send(t.Context(), german(1), func() error {
			if asked++; asked > 3 {
				return lost
			}
			return nil
		})
		if n := calls(y.fakes); !errors.Is(err, lost) || !slices.Equal(n, []int{2, 1}) {
			t.Errorf("Send = %v after %v calls; want it to end before the fourth", err, n)
		}
	})
}
