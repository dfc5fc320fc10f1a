package servers

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/sms"
)

// A listener has an address and takes no connections.
type listener struct {
	net.Listener
	address *net.TCPAddr
}

func (l listener) Addr() net.Addr { return l.address }

func at(ip string, port int) net.Listener {
	return listener{address: &net.TCPAddr{IP: net.ParseIP(ip), Port: port}}
}

// TestWelcome checks that the banner names only what answers, by addresses that a browser on this machine can open.
func TestWelcome(t *testing.T) {
	const any4, any6 = "0.0.0.0", "::"
	for _, tc := range []struct {
		settings      string
		api, operator net.Listener
		want          string // the links, and the phone of the first call
	}{
		{
			"", at("127.0.0.1", 1628), at("127.0.0.1", 1629),
			"http://127.0.0.1:1628/ http://127.0.0.1:1628/docs http://127.0.0.1:1629/ +989121234567",
		},
		{
			"", at(any6, 80), at(any4, 81),
			"http://127.0.0.1:80/ http://127.0.0.1:80/docs http://127.0.0.1:81/ +989121234567",
		},
		{"", at("::1", 80), nil, "http://[::1]:80/ http://[::1]:80/docs +989121234567"},
		{"LOGIN_PAGE=false", at("10.0.0.1", 80), nil, "http://10.0.0.1:80/docs +989121234567"},
		{"LOGIN_PAGE=false SMS_REGIONS=AT,DE", at(any4, 80), nil, "http://127.0.0.1:80/docs +43664123456"},
		{
			"LOGIN_PAGE=false SMS_REGIONS=AT,DE DEFAULT_REGION=DE", at(any4, 80), nil,
			"http://127.0.0.1:80/docs +4915123456789",
		},
		{
			"LOGIN_PAGE=false SMS_PROVIDERS=console,telegram TELEGRAM_TOKEN=t", at(any4, 80), nil,
			"http://127.0.0.1:80/docs YOUR NUMBER",
		},
	} {
		c := load(t, tc.settings)
		var b strings.Builder
		Welcome(&b, c, tc.api, tc.operator)
		links := regexp.MustCompile(`(?m)^  (http://\S+)`).FindAllStringSubmatch(b.String(), -1)
		var got []string
		for _, link := range links {
			got = append(got, link[1])
		}
		if phone := regexp.MustCompile(`"phone":"(.*?)"`).FindStringSubmatch(b.String()); phone != nil {
			got = append(got, phone[1])
		}
		if !slices.Equal(strings.Split(strings.Join(got, " "), " "), strings.Split(tc.want, " ")) {
			t.Errorf("with %q: %v; want %s", tc.settings, got, tc.want)
		}
	}
	var b strings.Builder
	Welcome(&b, &config.Config{Production: true}, at(any4, 80), nil)
	if b.Len() > 0 {
		t.Errorf("in production: %s; want nothing", &b)
	}
}

func load(t *testing.T, settings string) *config.Config {
	t.Helper()
	env := make(map[string]string)
	for s := range strings.FieldsSeq(settings) {
		name, value, _ := strings.Cut(s, "=")
		env[name] = value
	}
	c, err := config.Load(func(name string) string { return env[name] }, sms.Settings())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
