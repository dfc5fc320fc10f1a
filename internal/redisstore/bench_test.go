package redisstore

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

func benchmark(b *testing.B) *Codes {
	b.Helper()
	b.ReportAllocs()
	limit := otp.Limit{Max: 3, Window: time.Minute}
	return newCodes(b, connect(b, "single"), otp.Policy{
		TTL:           time.Minute,
		MaxAttempts:   5,
		DailyAttempts: 30,
		PerPhone:      limit,
		PerAddress:    limit,
	}, 4)
}

func anOpening() otp.Opening {
	return otp.Opening{
		Place:   otp.Place{Phone: otp.Pseudonym(rand.Text())},
		Address: otp.Address{Narrow: otp.Pseudonym(rand.Text())},
		ID:      uuid.New(),
		Digest:  "digest",
		Letter:  make([]byte, 200),
	}
}

// BenchmarkOpenAndSettle measures the two calls that each message takes, made by one caller.
func BenchmarkOpenAndSettle(b *testing.B) {
	s := benchmark(b)
	for b.Loop() {
		c, err := s.Open(b.Context(), anOpening())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Settle(b.Context(), c.Lease, otp.Outcome{State: otp.Sent}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck measures the call that each attempt takes, made by many callers that share round trips.
func BenchmarkCheck(b *testing.B) {
	s := benchmark(b)
	o := anOpening()
	c, err := s.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Settle(b.Context(), c.Lease, otp.Outcome{State: otp.Sent}); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.Check(b.Context(), anAttempt(o.Phone)); err != nil {
				b.Error(err)
			}
		}
	})
}
