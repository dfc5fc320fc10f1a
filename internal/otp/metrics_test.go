package otp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

// everyOutcome is what TestOutcomes expects to be counted.
var everyOutcome = map[string]int{
	"requested accepted IR":                8,
	"requested resend_too_soon IR":         1,
	"requested phone_limit IR":             1,
	"requested destination_not_allowed US": 1,
	"requested channel IR":                 1,
	"requested address_limit IR":           1,
	"requested test_number DE":             1,
	"requested daily_limit IR":             1,
	"requested unavailable IR":             1,

	"checked verified IR":    1,
	"checked verified DE":    1,
	"checked not_live IR":    1,
	"checked unavailable IR": 1,
	"checked refused IR":     1,
	"checked wrong IR":       3,
	"checked burnt IR":       1,
	"checked closed IR":      1,

	"delay pigeon": 1,
}

// TestOutcomes checks that every request and every attempt is counted once, by its outcome.
func TestOutcomes(t *testing.T) {
	inWorld(t, func(o *otp.Options) {
		o.Policy.ResendAfter, o.Policy.MaxAttempts, o.Policy.DailyAttempts = 30*time.Second, 2, 3
		o.Policy.PerPhone = otp.Limit{Max: 2, Window: 5 * time.Minute}
		o.Policy.PerAddress = otp.Limit{Max: 4, Window: 5 * time.Minute}
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
		time.Sleep(10 * time.Minute)
		request(iranian, "")
		wrong()
		wrong() // closed
		request(iranian, "")

		ended, cancel := context.WithCancel(w.t.Context())
		cancel()
		_, _ = w.Request(ended, otp.Request{Phone: iranian, Address: address})

		w.metrics.wantOutcomes(t, everyOutcome)
	})
}
