package otp

import (
	"math"
	"time"
)

// DailyGuesses returns how many wrong codes can be tried for the login of one phone in 24 hours, known devices apart:
// at codes of Policy.Length digits, and at longer ones.
//
// A shorter code is made only as long as there were no more than DailyAttempts wrong attempts at such codes. The next
// attempt without a request closes the shorter codes to attempts without a request. What is left are the attempts of
// the requests that were accepted within the life of a code. The bound holds by construction: a store compares no
// further shorter code, even if there were more requests than the limits count, because messages failed.
func (p Policy) DailyGuesses() (short, long int) {
	if p.PerPhone.Max == 0 { // then a code may have any number of requests
		return MaxDailyAttempts, 0
	}
	windows := int((MaxLife + p.PerPhone.Window - 1) / p.PerPhone.Window)
	short = min(MaxDailyAttempts, p.DailyAttempts+1+windows*p.PerPhone.Max*p.MaxAttempts)
	return short, MaxDailyAttempts - short
}

// DailyOdds returns the probability that one of DailyGuesses is right.
func (p Policy) DailyOdds() float64 {
	short, long := p.DailyGuesses()
	return float64(short)/math.Pow10(p.Length) + float64(long)/math.Pow10(p.LongLength())
}

// LongLength returns the digits of the codes of a phone that has had DailyAttempts wrong attempts in a row.
func (p Policy) LongLength() int { return p.Length + LongerBy }

// KeepAttempts is how long the wrong attempts in a row are remembered.
const KeepAttempts = 30 * 24 * time.Hour
