package otp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

// TestVerify checks that a code works until redeem has spent its challenge.
func TestVerify(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		for range 10 { // a right code is no wrong attempt and is not used up
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

func TestPurposes(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.Length = 10 }, func(w *world) {
		user := uuid.Must(uuid.NewV7())
		w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		w.request(otp.Request{Phone: iranian, Purpose: otp.ForPhoneChange(user)})
		sent := w.router.taken()
		login, change := sent[0], sent[1]
		if login.Purpose.Name() != "login" || change.Purpose.Name() != "phone_change" {
			t.Errorf("purposes %s, %s; want login, phone_change", login.Purpose.Name(), change.Purpose.Name())
		}
		if !strings.Contains(change.Text, "phone_change") {
			t.Errorf("text %s; want that of a change", change.Text)
		}
		verify := func(m otp.Message, p otp.Purpose) error {
			return w.verify(otp.Answer{Phone: iranian, Purpose: p}, m.Code, true, nil)
		}
		for name, err := range map[string]error{
			"the code of a login for a change":        verify(login, otp.ForPhoneChange(user)),
			"the code of a change for a login":        verify(change, otp.ForLogin),
			"the code of a change for another's":      verify(change, otp.ForPhoneChange(uuid.Must(uuid.NewV7()))),
			"the code of a login for another's phone": verify(login, otp.ForPhoneChange(uuid.Must(uuid.NewV7()))),
		} {
			if !errors.Is(err, otp.ErrInvalidCode) {
				t.Errorf("%s: %v; want ErrInvalidCode", name, err)
			}
		}
		if err := verify(change, otp.ForPhoneChange(user)); err != nil {
			t.Errorf("the code of a change for that change: %v", err)
		}
		if err := w.Forget(w.t.Context(), iranian); err != nil {
			t.Fatal(err)
		}
		if err := verify(login, otp.ForLogin); !errors.Is(err, otp.ErrNotLive) {
			t.Errorf("after Forget: %v; want ErrNotLive", err)
		}
	})
}

func TestReadCode(t *testing.T) {
	s, err := otp.New(otp.Options{Secret: make([]byte, 32), Policy: otp.Policy{Length: 6}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"042137", "۰۴۲۱۳۷", "٠٤٢١٣٧", "04٢۱37", "०४२१३७", "０４２１３７", " 042137", "042137\n", "042 137", "042-137",
	} {
		code, err := s.ReadCode(text)
		if err != nil {
			t.Errorf("ReadCode(%q): %v", text, err)
		}
		if printed := fmt.Sprintf("%v %+v %#v %d", code, code, code, code); strings.Contains(printed, "42137") {
			t.Errorf("ReadCode(%q) prints as %s", text, printed)
		}
	}
	for _, text := range []string{
		"", "04213", "0421370", "+42137", "-42137", "0x2137", "04213a", "042,137", "042\x00137", "\xff42137",
	} {
		if _, err := s.ReadCode(text); !errors.Is(err, otp.ErrCodeFormat) {
			t.Errorf("ReadCode(%q): %v; want ErrCodeFormat", text, err)
		}
	}
}
