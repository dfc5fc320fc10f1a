package otp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

// everyOutcome is what TestOutcomes expects to be counted.
var everyOutcome = map[string]int{
	"requested accepted IR":                59,
	"requested resend_too_soon IR":         1,
	"requested phone_limit IR":             1,
	"requested destination_not_allowed US": 1,
	"requested channel IR":                 1,
	"requested address_limit IR":           1,
	"requested test_number DE":             1,
	"requested daily_limit IR":             1,
	"requested user_limit IR":              1,
	"requested unavailable IR":             1,

	"checked verified IR":      1,
	"checked verified DE":      1,
	"checked not_live IR":      1,
	"checked unavailable IR":   1,
	"checked refused IR":       1,
	"checked wrong IR":         101,
	"checked burnt IR":         1,
	"checked closed IR":        1,
	"checked too_short IR":     48,
	"checked too_long IR":      1,
	"checked address_tries IR": 1,

	"delay pigeon": 1,
}

// TestOutcomes checks that every request and every attempt is counted once, by its outcome.
func TestOutcomes(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.Policy.ResendAfter, o.Policy.MaxAttempts, o.Policy.DailyAttempts = 30*time.Second, 2, 3
		o.Policy.PerPhone = otp.Limit{Max: 2, Window: 2 * time.Minute}
		o.Policy.PerAddress = otp.Limit{Max: 4, Window: 2 * time.Minute}
		o.Policy.TriesPerAddress = otp.Limit{Max: otp.MaxDailyAttempts + 1, Window: 24 * time.Hour}
		o.Regions, o.TestNumbers = []string{"IR"}, map[string]string{german.E164(): "123456"}
	}, func(w *world) {
		request := func(p phone.Number, channel string) {
			_, _ = w.Request(w.t.Context(), otp.Request{Phone: p, Address: address, Channel: channel})
			synctest.Wait()
		}
		banned, down := errors.New("banned"), errors.New("down")
		answer := func(code string, spent bool, err error) {
			_ = w.verify(otp.Answer{Phone: iranian}, code, spent, err)
		}
		wrong := func() { answer(other(w.router.code()), true, nil) }
		answer("000000", true, nil)
		request(iranian, "")
		request(iranian, "") // resend_too_soon
		answer(w.router.code(), false, down)
		answer(w.router.code(), true, banned)
		time.Sleep(time.Minute)
		request(iranian, "")
		answer(w.router.code(), true, nil)
		request(iranian, "")                       // phone_limit
		request(parse("+14155552671"), "")         // destination_not_allowed
		request(parse("+989121234568"), otp.Voice) // channel
		for i := range 5 {
			request(parse(fmt.Sprintf("+98912123456%d", i)), "")
		}
		request(german, "")
		_ = w.verify(otp.Answer{Phone: german}, "123456", true, nil)

		time.Sleep(10 * time.Minute)
		request(iranian, "")
		wrong()
		wrong() // burns
		answer(w.router.code(), true, nil)
		answer("00000000", true, nil) // too_long
		time.Sleep(10 * time.Minute)
		request(iranian, "")
		wrong() // from now on codes are longer
		for range otp.MaxDailyAttempts/2 - 2 {
			time.Sleep(2 * time.Minute)
			request(iranian, "")
			answer("000000", true, nil) // too_short
			wrong()
			wrong()
		}
		time.Sleep(2 * time.Minute)
		request(iranian, "")
		wrong()
		answer(w.router.code(), true, nil) // closed
		request(iranian, "")               // daily_limit

		time.Sleep(2 * time.Minute)
		user := otp.ForPhoneChange(uuid.Must(uuid.NewV7()))
		for i := range 3 { // the last one: user_limit
			p := parse(fmt.Sprintf("+98912123456%d", i))
			_, _ = w.Request(w.t.Context(), otp.Request{Phone: p, Purpose: user, Address: address})
		}
		changing := otp.Answer{Phone: parse("+989121234560"), Purpose: user}
		_ = w.verify(changing, other(w.router.code()), true, nil)
		_ = w.verify(changing, "000000", true, nil) // address_tries
		ended, cancel := context.WithCancel(w.t.Context())
		cancel()
		_, _ = w.Request(ended, otp.Request{Phone: iranian, Address: address})

		w.metrics.wantOutcomes(t, everyOutcome)
	})
}
