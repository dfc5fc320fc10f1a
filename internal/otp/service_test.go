package otp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

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

// An inbox is a Sender that keeps what it is sent.
type inbox struct {
	messages []otp.Message
	err      error
	during   func() // is called while a message is sent
}

func (i *inbox) Send(_ context.Context, m otp.Message) error {
	i.messages = append(i.messages, m)
	if i.during != nil {
		i.during()
	}
	return i.err
}

func (i *inbox) code() string { return i.messages[len(i.messages)-1].Code }

func newService(t *testing.T, change func(*otp.Options)) (*otp.Service, *inbox) {
	t.Helper()
	redis := redisstore.StartEmbedded()
	t.Cleanup(func() { redis.Close() })
	box := new(inbox)
	o := otp.Options{
		Sender: box, Log: slog.New(slog.DiscardHandler), Secret: []byte(strings.Repeat("s", 32)), Regions: []string{"*"},
		Policy: otp.Policy{
			Length: 6, TTL: 2 * time.Minute, MaxAttempts: 5, DailyAttempts: 30,
			PerPhone: otp.Limit{Max: 3, Window: 10 * time.Minute}, PerAddress: otp.Limit{Max: 30, Window: 10 * time.Minute},
		},
	}
	if change != nil {
		change(&o)
	}
	o.Codes = redisstore.NewCodes(redis, o.Policy)
	s, err := otp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, box
}

func request(t *testing.T, s *otp.Service, p phone.Number) {
	t.Helper()
	if _, err := s.Request(t.Context(), otp.Request{Phone: p, Address: address, Channel: "sms"}); err != nil {
		t.Fatalf("Request: %v", err)
	}
}

// verify answers with the text and a redeem that gives spent and err.
func verify(t *testing.T, s *otp.Service, p phone.Number, text string, spent bool, err error) error {
	t.Helper()
	code, formatErr := s.ReadCode(text)
	if formatErr != nil {
		t.Fatalf("ReadCode(%s): %v", text, formatErr)
	}
	return s.Verify(t.Context(), otp.Answer{Phone: p, Code: code}, func(context.Context, otp.ChallengeID) (bool, error) { return spent, err })
}

func TestMessage(t *testing.T) {
	for ttl, life := range map[time.Duration]string{2 * time.Minute: "2 minutes", time.Minute: "1 minute", 90 * time.Second: "90 seconds"} {
		s, box := newService(t, func(o *otp.Options) { o.Policy.Length, o.Policy.TTL = 10, ttl })
		request(t, s, iranian)
		request(t, s, iranian)
		first, second := box.messages[0], box.messages[1]
		if first.Code != second.Code || first.ID == second.ID || first.To != iranian || len(first.Code) != 10 {
			t.Errorf("messages %+v, %+v; want the same code of 10 digits in two messages", first, second)
		}
		if !strings.HasPrefix(first.Text, first.Code+" ") || !strings.Contains(first.Text, life) || len(first.Text) > 160 {
			t.Errorf("text %q; want the code first, %s, and at most 160 characters", first.Text, life)
		}
		for _, r := range first.Text { // of the letters that ASCII and GSM 03.38 have in common
			if r < ' ' || r > 'z' || strings.ContainsRune("`[\\]^", r) {
				t.Errorf("text %q holds %q, which is not of the GSM alphabet", first.Text, r)
			}
		}
		if printed := fmt.Sprintf("%v %+v %s", first, first, first); strings.Contains(printed, first.Code) || strings.Contains(printed, "9121234567") {
			t.Errorf("a message prints as %s", printed)
		}
	}
}

func TestCodesBelongToSecretAndPhone(t *testing.T) {
	s, box := newService(t, func(o *otp.Options) { o.Policy.Length = 10 })
	request(t, s, iranian)
	request(t, s, german)
	if err := verify(t, s, german, box.messages[0].Code, true, nil); !errors.Is(err, otp.ErrWrong) {
		t.Errorf("another phone's code: %v; want ErrWrong", err)
	}
	if err := verify(t, s, iranian, box.messages[0].Code, true, nil); err != nil {
		t.Errorf("its own: %v", err)
	}
}

func TestRegions(t *testing.T) {
	s, box := newService(t, func(o *otp.Options) {
		o.Regions = []string{"IR"}
		o.TestNumbers = map[string]string{german.E164(): "123456"}
	})
	request(t, s, iranian)
	_, err := s.Request(t.Context(), otp.Request{Phone: parse("+14155552671"), Address: address})
	if !errors.Is(err, otp.ErrRegion) || len(box.messages) != 1 {
		t.Errorf("Request to another region: %v, %d messages; want ErrRegion, 1", err, len(box.messages))
	}
	for range 10 {
		request(t, s, german)
	}
	if len(box.messages) != 1 {
		t.Error("a message went to a test number")
	}
	if err := verify(t, s, german, "123456", true, nil); err != nil {
		t.Errorf("a test number's code: %v", err)
	}
}

func TestNotDelivered(t *testing.T) {
	s, box := newService(t, nil)
	box.err = errors.New("down")
	for range 10 {
		if _, err := s.Request(t.Context(), otp.Request{Phone: iranian, Address: address}); !errors.Is(err, otp.ErrNotDelivered) {
			t.Fatalf("Request: %v; want ErrNotDelivered and never a limit", err)
		}
	}
	if err := verify(t, s, iranian, box.code(), true, nil); err != nil {
		t.Errorf("the code of a message that may have arrived: %v", err)
	}
}

// TestGiveBackOutlivesTheRequest holds that a send is given back although the request's time is up.
func TestGiveBackOutlivesTheRequest(t *testing.T) {
	s, box := newService(t, func(o *otp.Options) { o.Policy.PerPhone.Max = 1 })
	box.err = context.Canceled
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		box.during = cancel
		if _, err := s.Request(ctx, otp.Request{Phone: iranian, Address: address}); !errors.Is(err, otp.ErrNotDelivered) {
			t.Fatalf("Request: %v; want ErrNotDelivered", err)
		}
	}
}

func TestPurposes(t *testing.T) {
	s, box := newService(t, func(o *otp.Options) { o.Policy.Length = 10 })
	user := uuid.Must(uuid.NewV7())
	request(t, s, iranian)
	if _, err := s.Request(t.Context(), otp.Request{Phone: iranian, Purpose: otp.ForPhone(user), Address: address, Channel: "sms"}); err != nil {
		t.Fatal(err)
	}
	login, change := box.messages[0], box.messages[1]
	if login.Purpose.Name() != "login" || change.Purpose.Name() != "phone_change" {
		t.Errorf("purposes %s, %s; want login, phone_change", login.Purpose.Name(), change.Purpose.Name())
	}
	if login.Text == change.Text || !strings.Contains(change.Text, "move an account") || len(change.Text) > 160 {
		t.Errorf("texts %q, %q; want the second to say what it is for", login.Text, change.Text)
	}
	try := func(m otp.Message, p otp.Purpose) error {
		code, err := s.ReadCode(m.Code)
		if err != nil {
			t.Fatal(err)
		}
		return s.Verify(t.Context(), otp.Answer{Phone: iranian, Code: code, Purpose: p}, func(context.Context, otp.ChallengeID) (bool, error) { return true, nil })
	}
	for name, err := range map[string]error{
		"the code of a login for a change":        try(login, otp.ForPhone(user)),
		"the code of a change for a login":        try(change, otp.ForLogin),
		"the code of a change for another's":      try(change, otp.ForPhone(uuid.Must(uuid.NewV7()))),
		"the code of a login for another's phone": try(login, otp.ForPhone(uuid.Must(uuid.NewV7()))),
	} {
		if !errors.Is(err, otp.ErrInvalidCode) {
			t.Errorf("%s: %v; want ErrInvalidCode", name, err)
		}
	}
	if err := try(change, otp.ForPhone(user)); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := s.Forget(t.Context(), iranian); err != nil {
		t.Fatal(err)
	}
	if err := try(login, otp.ForLogin); !errors.Is(err, otp.ErrNotLive) {
		t.Errorf("after Forget: %v; want ErrNotLive", err)
	}
}

func TestVerify(t *testing.T) {
	s, box := newService(t, nil)
	request(t, s, iranian)
	down := errors.New("database down")
	for range 10 { // costs no try and spends nothing
		if err := verify(t, s, iranian, box.code(), false, down); !errors.Is(err, down) {
			t.Fatalf("Verify: %v; want redeem's error", err)
		}
	}
	banned := errors.New("banned")
	if err := verify(t, s, iranian, box.code(), true, banned); !errors.Is(err, banned) {
		t.Errorf("Verify: %v; want redeem's error", err)
	}
	if err := verify(t, s, iranian, box.code(), true, nil); !errors.Is(err, otp.ErrNotLive) {
		t.Errorf("Verify of a spent code: %v; want ErrNotLive", err)
	}
}

func TestAddressesOfOneSubscriber(t *testing.T) {
	for _, tc := range []struct {
		first, second string
		same          bool
	}{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		s, _ := newService(t, func(o *otp.Options) { o.Policy.PerAddress.Max = 1 })
		if _, err := s.Request(t.Context(), otp.Request{Phone: iranian, Address: netip.MustParseAddr(tc.first)}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Request(t.Context(), otp.Request{Phone: german, Address: netip.MustParseAddr(tc.second)})
		if errors.Is(err, otp.ErrAddressLimit) != tc.same {
			t.Errorf("%s after %s: %v; want the same address: %t", tc.second, tc.first, err, tc.same)
		}
	}
}

func TestReadCode(t *testing.T) {
	s, _ := newService(t, nil)
	for _, text := range []string{"042137", "۰۴۲۱۳۷", "٠٤٢١٣٧", "04٢۱37"} {
		if code, err := s.ReadCode(text); err != nil || strings.Contains(fmt.Sprintf("%v %+v %#v %d", code, code, code, code), "42137") {
			t.Errorf("ReadCode(%q): %v; want a code that does not print", text, err)
		}
	}
	for _, text := range []string{"", "04213", "0421370", " 042137", "042137\n", "+42137", "-42137", "0x2137", "04213a", "०४२१३७", "０４２１３７", "042\x00137", "\xff42137"} {
		if _, err := s.ReadCode(text); !errors.Is(err, otp.ErrCodeFormat) {
			t.Errorf("ReadCode(%q): %v; want ErrCodeFormat", text, err)
		}
	}
}

func TestShortSecret(t *testing.T) {
	if _, err := otp.New(otp.Options{Secret: make([]byte, 31)}); err == nil {
		t.Error("New took a secret of 31 bytes")
	}
}
