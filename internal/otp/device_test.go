package otp_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/otp"
)

const deviceTTL = time.Hour

// oneMessage allows each known device, and all other requests, one message in a minute.
func oneMessage(o *otp.Options) {
	o.DeviceTTL = deviceTTL
	o.Policy.PerPhone = otp.Limit{Max: 1, Window: time.Minute}
}

// TestDeviceTokens checks which tokens make a device known. A known device gets a code of its own.
func TestDeviceTokens(t *testing.T) {
	inWorld(t, oneMessage, func(w *world) {
		token := w.DeviceToken(iranian, "")
		if len(token) < 60 || len(token) > 80 || strings.Trim(token, base64URL) != "" {
			t.Errorf("the token %q is not of about 70 URL-safe characters", token)
		}
		if token == w.DeviceToken(iranian, "") || token == w.DeviceToken(iranian, token) {
			t.Error("two tokens are equal")
		}
		for name, valid := range map[string]string{
			"a token":                 token,
			"its successor":           w.DeviceToken(iranian, token),
			"one after a forged one":  w.DeviceToken(iranian, "forged"),
			"one after another phone": w.DeviceToken(iranian, w.DeviceToken(german, "")),
		} {
			if !isKnown(t, w.Service, valid) {
				t.Errorf("%s makes no device known", name)
			}
		}
		foreign, stop := w.copyWith(func(o *otp.Options) { o.Secret = []byte(strings.Repeat("t", 32)) })
		defer stop()
		off, stopOff := w.copyWith(func(o *otp.Options) { o.DeviceTTL = 0 })
		defer stopOff()
		flipped := []byte(token)
		flipped[20] ^= 1
		for name, invalid := range map[string]string{
			"no token":               "",
			"no base64":              "!!",
			"a short one":            "AAAA",
			"a long one":             strings.Repeat("A", 1800),
			"a cut one":              token[:len(token)-2],
			"a changed one":          string(flipped),
			"one with more":          token + "AA",
			"another phone's":        w.DeviceToken(german, ""),
			"another service's":      foreign.DeviceToken(iranian, ""),
			"a ticket":               w.request(otp.Request{Phone: german}).Ticket,
			"one of a service's off": off.DeviceToken(iranian, token),
		} {
			if isKnown(t, w.Service, invalid) {
				t.Errorf("%s makes a device known", name)
			}
		}
		if isKnown(t, off, token) {
			t.Error("a token is accepted although there are none")
		}
		time.Sleep(deviceTTL)
		if isKnown(t, w.Service, token) {
			t.Error("an expired token makes a device known")
		}
	})
}

// isKnown reports whether a token makes a device known: it has a message of its own after the only one of the phone.
func isKnown(t *testing.T, s *otp.Service, token string) bool {
	t.Helper()
	time.Sleep(time.Minute)
	if _, err := s.Request(t.Context(), otp.Request{Phone: iranian, Address: address}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Request(t.Context(), otp.Request{Phone: iranian, Address: address, Device: token})
	synctest.Wait()
	if err != nil && !errors.Is(err, otp.ErrPhoneLimit) {
		t.Fatalf("Request with the token %q: %v", token, err)
	}
	return err == nil
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// TestDeviceKeepsIdentifier checks that the successor of a token belongs to the same device, so that a device has one
// budget, however often it logs in.
func TestDeviceKeepsIdentifier(t *testing.T) {
	inWorld(t, oneMessage, func(w *world) {
		token := w.DeviceToken(iranian, "")
		w.request(otp.Request{Phone: iranian, Device: token})
		again := otp.Request{Phone: iranian, Address: address, Device: w.DeviceToken(iranian, token)}
		if _, err := w.Request(t.Context(), again); !errors.Is(err, otp.ErrPhoneLimit) {
			t.Errorf("a second message for the device of a renewed token: %v; want ErrPhoneLimit", err)
		}
		w.request(otp.Request{Phone: iranian, Device: w.DeviceToken(iranian, "")})
	})
}

// TestAttemptsAreOfRequests checks that a ticket gives attempts of its own at its own code, and no other.
func TestAttemptsAreOfRequests(t *testing.T) {
	user := otp.ForPhoneChange(uuid.Must(uuid.NewV7()))
	inWorld(t, func(o *otp.Options) { o.DeviceTTL = deviceTTL }, func(w *world) {
		mine := w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		others := []string{
			"", "forged", w.request(otp.Request{Phone: german}).Ticket,
			w.request(otp.Request{Phone: iranian, Purpose: user}).Ticket,
		}
		for i := range 5 {
			a := otp.Answer{Phone: iranian, Ticket: others[i%len(others)]}
			if err := w.verify(a, other(code), true, nil); !errors.Is(err, otp.ErrWrong) {
				t.Fatalf("a wrong code: %v; want ErrWrong", err)
			}
		}
		for _, ticket := range others {
			a := otp.Answer{Phone: iranian, Ticket: ticket}
			if err := w.verify(a, code, true, nil); !errors.Is(err, otp.ErrBurnt) {
				t.Errorf("the right code without the ticket: %v; want ErrBurnt", err)
			}
		}
		w.want(mine, otp.Sent)
		token := w.DeviceToken(iranian, "")
		if err := w.verify(otp.Answer{Phone: iranian, Device: token}, code, false, errDown); !errors.Is(err, errDown) {
			t.Errorf("the right code from a known device: %v; want redeem's error", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian, Ticket: mine.Ticket}, code, true, nil); err != nil {
			t.Errorf("the right code with its ticket: %v", err)
		}
		w.want(mine, "")
	})
}

// TestTicketOfDevice checks that the ticket of a known device's request stands for the device where the token is
// missing, and that a device whose day is over counts as none.
func TestTicketOfDevice(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.DeviceTTL, o.Policy.DailyAttempts = deviceTTL, 3
	}, func(w *world) {
		token := w.DeviceToken(iranian, "")
		own := w.request(otp.Request{Phone: iranian, Device: token})
		code := w.router.code()
		w.want(own, otp.Sent)
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); !errors.Is(err, otp.ErrNotLive) {
			t.Errorf("a device's code from elsewhere: %v; want ErrNotLive", err)
		}
		a := otp.Answer{Phone: iranian, Ticket: own.Ticket}
		if err := w.verify(a, code, false, errDown); !errors.Is(err, errDown) {
			t.Errorf("a device's code with its ticket: %v; want redeem's error", err)
		}
		for range 3 {
			if err := w.verify(a, other(code), true, nil); !errors.Is(err, otp.ErrWrong) {
				t.Fatalf("a wrong code: %v; want ErrWrong", err)
			}
		}
		if err := w.verify(a, code, true, nil); !errors.Is(err, otp.ErrInvalidCode) {
			t.Errorf("the code of a device whose day is over: %v; want ErrInvalidCode", err)
		}
		open := w.request(otp.Request{Phone: iranian, Device: token})
		a = otp.Answer{Phone: iranian, Ticket: open.Ticket, Device: token}
		if err := w.verify(a, w.router.code(), true, nil); err != nil {
			t.Errorf("the open code on a device whose day is over: %v", err)
		}
	})
}

// TestOldTicketOfDevice checks that the ticket of a known device is no device token: it stands for one as long as its
// code can live, and never where there are no device tokens.
func TestOldTicketOfDevice(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.DeviceTTL, o.Clock = deviceTTL, new(clock.Clock)
		o.Clock.Follow(time.Second) // or the identifiers would have the time outside of this world
	}, func(w *world) {
		off, stop := w.copyWith(func(o *otp.Options) { o.DeviceTTL = 0 })
		defer stop()
		old := w.request(otp.Request{Phone: iranian, Device: w.DeviceToken(iranian, "")})
		w.want(old, otp.Sent)
		code := w.router.code()
		a := otp.Answer{Phone: iranian, Ticket: old.Ticket}
		if err := w.verify(a, code, false, errDown); !errors.Is(err, errDown) {
			t.Errorf("a device's code with its ticket: %v; want redeem's error", err)
		}
		on := w.Service
		w.Service = off
		if err := w.verify(a, code, true, nil); !errors.Is(err, otp.ErrNotLive) {
			t.Errorf("a device's code with its ticket, without device tokens: %v; want ErrNotLive", err)
		}
		w.Service = on
		time.Sleep(otp.MaxLife + 2*time.Minute)
		w.request(otp.Request{Phone: iranian})
		code = w.router.code()
		for range 5 {
			if err := w.verify(otp.Answer{Phone: iranian}, other(code), true, nil); !errors.Is(err, otp.ErrWrong) {
				t.Fatal(err)
			}
		}
		if err := w.verify(a, code, true, nil); !errors.Is(err, otp.ErrBurnt) {
			t.Errorf("the open code with an old ticket of a device: %v; want ErrBurnt", err)
		}
	})
}

// TestLongerCode checks that the message, the answer and the comparison agree about a longer code, also when another
// copy delivers the message.
func TestLongerCode(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.DailyAttempts = 1 }, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		a := otp.Answer{Phone: iranian}
		if err := w.verify(a, other(w.router.code()), true, nil); !errors.Is(err, otp.ErrWrong) {
			t.Fatal(err)
		}
		accepted := w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		if accepted.Length != 8 || len(code) != 8 {
			t.Errorf("the request says %d digits, the message has %d; want 8", accepted.Length, len(code))
		}
		w.router.set(stuck)
		again := w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		w.stop() // leaves the message to another copy
		w.router.set(nil)
		w.Service, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		w.want(again, otp.Sent)
		if got := w.router.code(); got != code {
			t.Errorf("another copy sent the code %s; want %s", got, code)
		}
		if err := w.verify(a, code, true, nil); err != nil {
			t.Errorf("the longer code: %v", err)
		}
	})
}
