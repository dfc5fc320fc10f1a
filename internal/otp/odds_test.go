package otp_test

import (
	"math"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

func TestDailyOdds(t *testing.T) {
	usual := otp.Policy{
		Length:        6,
		MaxAttempts:   5,
		DailyAttempts: 30,
		PerPhone:      otp.Limit{Max: 3, Window: 10 * time.Minute},
	}
	one := func(window time.Duration) func(p *otp.Policy) {
		return func(p *otp.Policy) { p.PerPhone = otp.Limit{Max: 1, Window: window} }
	}
	for name, tc := range map[string]struct {
		change      func(p *otp.Policy)
		short, long int
		oneIn       float64
	}{
		"defaults":              {func(*otp.Policy) {}, 46, 54, 21_487},
		"more digits":           {func(p *otp.Policy) { p.Length = 8 }, 46, 54, 2_148_689},
		"any number of sends":   {func(p *otp.Policy) { p.PerPhone = otp.Limit{} }, 100, 0, 10_000},
		"sends of a minute":     {one(time.Minute), 81, 19, 12_317},
		"sends of four minutes": {one(4 * time.Minute), 46, 54, 21_487},
		"sends of a day":        {func(p *otp.Policy) { p.PerPhone.Window = 24 * time.Hour }, 46, 54, 21_487},
		"one attempt a day":     {func(p *otp.Policy) { p.DailyAttempts, p.MaxAttempts = 1, 1 }, 5, 95, 168_067},
		"a hundred a day":       {func(p *otp.Policy) { p.DailyAttempts = 100 }, 100, 0, 10_000},
	} {
		p := usual
		tc.change(&p)
		if short, long := p.DailyGuesses(); short != tc.short || long != tc.long {
			t.Errorf("%s: %d and %d guesses; want %d and %d", name, short, long, tc.short, tc.long)
		}
		if oneIn := 1 / p.DailyOdds(); math.Round(oneIn) != tc.oneIn {
			t.Errorf("%s: one in %.0f; want %.0f", name, oneIn, tc.oneIn)
		}
	}
}
