package otp_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

func TestMessage(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		w.request(otp.Request{Phone: iranian})
		sent := w.router.taken()
		first, second := sent[0], sent[1]
		if first.Code != second.Code || len(first.Code) != 10 {
			t.Errorf("codes %s, %s; want the same 10 digits", first.Code, second.Code)
		}
		if first.ID == second.ID || second.Send != 2 {
			t.Errorf("messages %+v, %+v; want two messages of one challenge", first, second)
		}
		if first.Locale != "||IR" { // the client asked for none
			t.Errorf("locale %s; want that of the text", first.Locale)
		}
		printed := fmt.Sprintf("%v %+v %s", first, first, first)
		if strings.Contains(printed, first.Code) || strings.Contains(printed, "9121234567") {
			t.Errorf("a message prints as %s", printed)
		}
	})
}

func TestCodesBelongToPhones(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		w.request(otp.Request{Phone: german})
		if err := w.verify(otp.Answer{Phone: german}, code, true, nil); !errors.Is(err, otp.ErrWrong) {
			t.Errorf("another phone's code: %v; want ErrWrong", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
			t.Errorf("the phone's own code: %v", err)
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
			t.Error("a message was sent to a test number")
		}
		if err := w.verify(otp.Answer{Phone: german}, "123456", true, nil); err != nil {
			t.Errorf("a test number's code: %v", err)
		}
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
			if want := w.router.Channels(tc.r.Phone.Region()); !slices.Equal(a.Channels, want) {
				t.Errorf("Request by %q: the channels %v are available; want %v", tc.r.Channel, a.Channels, want)
			}
			sent := w.router.taken()[before:]
			if err != nil || a.Channel != tc.want {
				t.Errorf("Request by %q: by %q, %v; want %s", tc.r.Channel, a.Channel, err, tc.want)
			}
			if len(sent) != 1 || sent[0].Channel != tc.want {
				t.Errorf("Request by %q: messages %v; want one by %s", tc.r.Channel, sent, tc.want)
			}
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
			first, second := netip.MustParseAddr(tc.first), netip.MustParseAddr(tc.second)
			if _, err := w.Request(w.t.Context(), otp.Request{Phone: iranian, Address: first}); err != nil {
				t.Fatal(err)
			}
			_, err := w.Request(w.t.Context(), otp.Request{Phone: german, Address: second})
			if errors.Is(err, otp.ErrAddressLimit) != tc.same {
				t.Errorf("%s after %s: %v; want the same address: %t", tc.second, tc.first, err, tc.same)
			}
		})
	}
}

func TestTickets(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		user := uuid.Must(uuid.NewV7())
		first := w.request(otp.Request{Phone: iranian})
		second := w.request(otp.Request{Phone: iranian, Purpose: otp.ForPhoneChange(user)})
		w.want(first, otp.Sent)
		w.want(second, otp.Sent)
		if first.Ticket == w.request(otp.Request{Phone: iranian}).Ticket {
			t.Error("two requests have the same ticket")
		}
		for _, ticket := range []string{
			"", "x", "!!", strings.Repeat("A", 100),
			first.Ticket[1:], first.Ticket + "A", strings.ToUpper(first.Ticket),
		} {
			if _, err := w.Status(w.t.Context(), ticket); !errors.Is(err, otp.ErrUnknown) {
				t.Errorf("Status(%s): %v; want ErrUnknown", ticket, err)
			}
			if found, err := w.LookUp(w.t.Context(), ticket); found.Message != "" || !errors.Is(err, otp.ErrUnknown) {
				t.Errorf("LookUp(%s) = %+v, %v; want ErrUnknown", ticket, found, err)
			}
		}
		if err := w.verify(otp.Answer{Phone: iranian}, w.router.code(), true, nil); err != nil {
			t.Fatal(err)
		}
		w.want(first, "")
		w.want(second, otp.Sent)
	})
}

// TestLookUp checks what a ticket tells while its code is live, later, and while the store does not answer.
func TestLookUp(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		opened := time.Now()
		a := w.request(otp.Request{Phone: iranian})
		w.want(a, otp.Sent)
		message := w.router.messages[0].ID
		found, err := w.LookUp(w.t.Context(), a.Ticket)
		if found.OpenedAt.Before(opened.Truncate(time.Millisecond)) { // UUIDs of earlier tests may have run ahead
			t.Errorf("OpenedAt = %v; want %v", found.OpenedAt, opened)
		}
		want := otp.Lookup{Message: message, Send: 1, Purpose: "login", OpenedAt: found.OpenedAt}
		live := found.Live
		found.Live = nil
		if err != nil || found != want || live == nil || live.State != otp.Sent || live.Provider != "pigeon" {
			t.Errorf("LookUp = %+v, %+v, %v; want %+v, sent by pigeon", found, live, err, want)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, w.router.code(), true, nil); err != nil {
			t.Fatal(err)
		}
		if found, err = w.LookUp(w.t.Context(), a.Ticket); err != nil || found != want {
			t.Errorf("LookUp of a used code = %+v, %v; want %+v", found, err, want)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		cancel()
		if found, err = w.LookUp(ctx, a.Ticket); !errors.Is(err, otp.ErrUnavailable) || found != want {
			t.Errorf("LookUp without the store = %+v, %v; want %+v and ErrUnavailable", found, err, want)
		}
	})
}

func TestShortSecret(t *testing.T) {
	if _, err := otp.New(otp.Options{Secret: make([]byte, 31)}); err == nil {
		t.Error("New took a secret of 31 bytes")
	}
}
