package config

import (
	"slices"
	"testing"

	"dekamond-otp/internal/sms"
)

func TestUnknown(t *testing.T) {
	file := map[string]string{
		"HTTP_ADDR":           "",
		"OTP_LEN":             "",
		"APP_NAM":             "",
		"HTTP_PROXY":          "",
		"OTEL_TRACES_SAMPLER": "",
		"GOMAXPROCS":          "",
	}
	if got, want := Unknown(file, sms.Settings()), []string{"APP_NAM", "OTP_LEN"}; !slices.Equal(got, want) {
		t.Errorf("Unknown = %v; want %v", got, want)
	}
	if got := Unknown(nil, sms.Settings()); len(got) != 0 {
		t.Errorf("Unknown without a file = %v; want none", got)
	}
}
