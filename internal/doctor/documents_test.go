package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/redisstore"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/token"
)

// TestReportInDocuments checks that the report in docs/deploy.md is one that the doctor writes.
func TestReportInDocuments(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(ok .*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/deploy.md has no report")
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		var report strings.Builder
		if err := faulty(t).examine(t.Context()).Write(&report); err != nil {
			t.Fatal(err)
		}
		if report.String() != string(block[1]) {
			t.Errorf("docs/deploy.md has\n%s\nwant\n%s", block[1], report.String())
		}
	})
}

// faulty returns a production with a few faults.
func faulty(t *testing.T) deployment {
	t.Helper()
	c := load(t,
		"OTP_SECRET=correct horse battery staple correct horse battery lamp",
		"JWT_SECRET=",
		"JWT_KEYS=keys",
		"SMS_REGIONS=*",
		"SMS_PROVIDERS=kavenegar,twilio",
		"SMS_WEBHOOK_URL=",
		"SMS_WEBHOOK_SECRET=",
		"KAVENEGAR_API_KEY=6f2d0e9d4a1101a20ae8c1f07d2e8b1d6f2d0e9d",
		"HOOK_SECRET=pVq3vXbR8nTzK5wY",
		"ADMIN_API_KEY=",
		"CORS_ORIGINS=",
	)
	kavenegar, twilio := described("kavenegar"), described("twilio")
	kavenegar.reports, twilio.reports = true, true
	kavenegar.probe = func(context.Context) (sms.Account, error) { return sms.Account{}, nil }
	twilio.probe = func(context.Context) (sms.Account, error) {
		failure := &sms.Failure{Status: 401, Code: "20003"}
		return sms.Account{}, fmt.Errorf("%w (%w)", sms.ErrCredentials, failure)
	}
	redis := redisstore.Facts{
		Password: true,
		Latency:  100 * time.Microsecond,
		Nodes:    []redisstore.Node{{Product: "redis", Version: "7.0.15", Policy: "allkeys-lru", AppendOnly: true}},
	}
	postgres := pgstore.Facts{
		Version:     150018,
		Latency:     200 * time.Microsecond,
		Unsafe:      true,
		MayMigrate:  true,
		Pool:        16,
		Connections: 297,
		Used:        12,
	}
	made := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	return deployment{
		config:    c,
		keys:      []token.Key{{Algorithm: "EdDSA", ID: "4DNBhEE5", Made: made, Signs: true}},
		redis:     func(context.Context) (redisstore.Facts, error) { return redis, nil },
		postgres:  func(context.Context) (pgstore.Facts, error) { return postgres, nil },
		providers: []provider{kavenegar, twilio},
		alive:     func(context.Context) error { return errors.New("refused") },
	}
}
