package otp_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
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

func TestMessage(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		w.request(otp.Request{Phone: iranian})
		sent := w.router.taken()
		first, second := sent[0], sent[1]
		if first.Code != second.Code || first.ID == second.ID || second.Send != 2 || len(first.Code) != 10 {
			t.Errorf("messages %+v, %+v; want the same code of 10 digits in two messages", first, second)
		}
		if first.Locale != "||IR" { // nothing was asked for: that of the text
			t.Errorf("locale %s; want that of the text", first.Locale)
		}
		if printed := fmt.Sprintf("%v %+v %s", first, first, first); strings.Contains(printed, first.Code) || strings.Contains(printed, "9121234567") {
			t.Errorf("a message prints as %s", printed)
		}
	})
}

func TestCodesBelongToSecretAndPhone(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		w.request(otp.Request{Phone: german})
		if err := w.verify(otp.Answer{Phone: german}, code, true, nil); !errors.Is(err, otp.ErrWrong) {
			t.Errorf("another phone's code: %v; want ErrWrong", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
			t.Errorf("its own: %v", err)
		}
	})
}

func TestRegions(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.Regions = []string{"IR"}
		o.TestNumbers = map[string]string{german.E164(): "123456"}
	}, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		_, err := w.Request(w.t.Context(), otp.Request{Phone: parse("+14155552671"), Address: address})
		if !errors.Is(err, otp.ErrRegion) || len(w.router.taken()) != 1 {
			t.Errorf("Request to another region: %v, %d messages; want ErrRegion, 1", err, len(w.router.taken()))
		}
		var a otp.Accepted
		for range 10 {
			a = w.request(otp.Request{Phone: german})
		}
		w.want(a, otp.Delivered)
		if len(w.router.taken()) != 1 {
			t.Error("a message went to a test number")
		}
		if err := w.verify(otp.Answer{Phone: german}, "123456", true, nil); err != nil {
			t.Errorf("a test number's code: %v", err)
		}
	})
}

// TestOutcomes holds that every request and every answer is counted once, by how it ended.
func TestOutcomes(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.Policy.ResendAfter, o.Policy.MaxAttempts, o.Policy.DailyAttempts = 30*time.Second, 2, 3
		o.Policy.PerPhone, o.Policy.PerAddress = otp.Limit{Max: 2, Window: time.Hour}, otp.Limit{Max: 4, Window: time.Hour}
		o.Regions, o.TestNumbers = []string{"IR"}, map[string]string{german.E164(): "123456"}
	}, func(w *world) {
		try := func(p phone.Number, channel string) {
			_, _ = w.Request(w.t.Context(), otp.Request{Phone: p, Address: address, Channel: channel})
			synctest.Wait()
		}
		banned, down := errors.New("banned"), errors.New("down")
		answer := func(code string, spent bool, err error) { _ = w.verify(otp.Answer{Phone: iranian}, code, spent, err) }
		wrong := func() { answer(other(w.router.code()), true, nil) }
		answer("000000", true, nil)
		try(iranian, "")
		try(iranian, "") // resend_too_soon
		answer(w.router.code(), false, down)
		answer(w.router.code(), true, banned)
		time.Sleep(time.Minute)
		try(iranian, "")
		answer(w.router.code(), true, nil)
		try(iranian, "")                       // phone_limit
		try(parse("+14155552671"), "")         // destination_not_allowed
		try(parse("+989121234568"), otp.Voice) // channel
		for _, n := range []string{"+989121234561", "+989121234562", "+989121234563", "+989121234564", "+989121234565"} {
			try(parse(n), "")
		}
		try(german, "")
		_ = w.verify(otp.Answer{Phone: german}, "123456", true, nil)

		time.Sleep(2 * time.Hour)
		try(iranian, "")
		wrong()
		wrong() // burns
		answer(w.router.code(), true, nil)
		time.Sleep(2 * time.Hour)
		try(iranian, "")
		wrong()
		wrong() // closed
		try(iranian, "")

		ended, cancel := context.WithCancel(w.t.Context())
		cancel()
		_, _ = w.Request(ended, otp.Request{Phone: iranian, Address: address})

		want := map[string]int{
			"requested accepted IR": 8, "requested resend_too_soon IR": 1, "requested phone_limit IR": 1, "requested destination_not_allowed US": 1,
			"requested channel IR": 1, "requested address_limit IR": 1, "requested test_number DE": 1, "requested daily_limit IR": 1, "requested unavailable IR": 1,
			"checked verified IR": 1, "checked verified DE": 1, "checked not_live IR": 1, "checked unavailable IR": 1, "checked refused IR": 1,
			"checked wrong IR": 3, "checked burnt IR": 1, "checked closed IR": 1, "delay pigeon": 1,
		}
		w.metrics.mu.Lock()
		defer w.metrics.mu.Unlock()
		if !maps.Equal(w.metrics.outcomes, want) {
			t.Errorf("counted %v; want %v", w.metrics.outcomes, want)
		}
	})
}

// other gives a code that is not the code.
func other(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestPurposes(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		user := uuid.Must(uuid.NewV7())
		w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		w.request(otp.Request{Phone: iranian, Purpose: otp.ForPhone(user)})
		sent := w.router.taken()
		login, change := sent[0], sent[1]
		if login.Purpose.Name() != "login" || change.Purpose.Name() != "phone_change" || !strings.Contains(change.Text, "phone_change") {
			t.Errorf("purposes %s, %s, text %s; want login, phone_change", login.Purpose.Name(), change.Purpose.Name(), change.Text)
		}
		try := func(m otp.Message, p otp.Purpose) error {
			return w.verify(otp.Answer{Phone: iranian, Purpose: p}, m.Code, true, nil)
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
		if err := w.Forget(w.t.Context(), iranian); err != nil {
			t.Fatal(err)
		}
		if err := try(login, otp.ForLogin); !errors.Is(err, otp.ErrNotLive) {
			t.Errorf("after Forget: %v; want ErrNotLive", err)
		}
	})
}

func TestVerify(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		for range 10 { // costs no try and spends nothing
			if err := w.verify(otp.Answer{Phone: iranian}, code, false, errDown); !errors.Is(err, errDown) {
				t.Fatalf("Verify: %v; want redeem's error", err)
			}
		}
		banned := errors.New("banned")
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, banned); !errors.Is(err, banned) {
			t.Errorf("Verify: %v; want redeem's error", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); !errors.Is(err, otp.ErrNotLive) {
			t.Errorf("Verify of a spent code: %v; want ErrNotLive", err)
		}
	})
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
		inWorld(t, func(o *otp.Options) { o.Policy.PerAddress.Max = 1 }, func(w *world) {
			if _, err := w.Request(w.t.Context(), otp.Request{Phone: iranian, Address: netip.MustParseAddr(tc.first)}); err != nil {
				t.Fatal(err)
			}
			_, err := w.Request(w.t.Context(), otp.Request{Phone: german, Address: netip.MustParseAddr(tc.second)})
			if errors.Is(err, otp.ErrAddressLimit) != tc.same {
				t.Errorf("%s after %s: %v; want the same address: %t", tc.second, tc.first, err, tc.same)
			}
		})
	}
}

func TestReadCode(t *testing.T) {
	s, err := otp.New(otp.Options{Secret: make([]byte, 32), Policy: otp.Policy{Length: 6}})
	if err != nil {
		t.Fatal(err)
	}
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
