package api

import (
	"net/url"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestReadsPastedNumbers checks that a number and a code are read with everything that pasting adds to them.
func TestReadsPastedNumbers(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	for _, written := range []string{
		"\u202a+989121239999\u202c", "+989121239999\n", "\u200e+98\u00a0912\u202f123\u200999\u200b99\ufeff",
		"＋９８（９１２）１２３－９９９９", "+۹۸۹۱۲۱۲۳۹۹۹۹", "+९८ ९१२ १२३ ९९९९", "00 98 912 123 99 99", "+98 (0)912-123-9999",
	} {
		a := s.Want(s.Request(written), 202, "")
		if got := a.Text("phone"); got != "+989121239999" {
			t.Errorf("%q is read as %s", written, got)
		}
	}
	for name, write := range map[string]func(code string) string{
		"line end":     func(code string) string { return code + "\r\n" },
		"space":        func(code string) string { return code[:3] + " " + code[3:] + " " },
		"dash":         func(code string) string { return code[:3] + "-" + code[3:] },
		"marks":        func(code string) string { return "\u2068" + code[:2] + "\u200b" + code[2:] + "\u2069" },
		"wide digits":  strings.NewReplacer("0", "０", "1", "１", "2", "２", "3", "３").Replace,
		"Bengali":      strings.NewReplacer("0", "০", "1", "১", "2", "২", "3", "৩", "4", "৪", "5", "৫").Replace,
		"empty margin": func(code string) string { return strings.Repeat("\n", 200) + code + "\u3000\u3000" },
	} {
		code := s.Code("+989121239999")
		if a := s.Verify("+989121239999", write(code)); a.Status >= 300 {
			t.Errorf("a code with %s: %d %s", name, a.Status, a.Body)
		}
	}
}

// TestRegionOfRequest checks that a national number is read in the form of the region beside it.
func TestRegionOfRequest(t *testing.T) {
	s := servicetest.Start(t, nil, append(servicetest.Unlimited, "DEFAULT_REGION=IR")...)
	for _, tt := range []struct{ phone, region, want string }{
		{"09121234567", "", "+989121234567"},
		{"09121234567", "ir", "+989121234567"},
		{"0151 23456789", "DE", "+4915123456789"},
		{"6281234567890", "ID", "+6281234567890"},
		{"464-1234", "AG", "+12684641234"},
		{"+44 7400 123456", "DE", "+447400123456"},
	} {
		body := servicetest.JSON("phone", tt.phone, "region", tt.region)
		if tt.region == "" {
			body = servicetest.JSON("phone", tt.phone)
		}
		a := s.Want(s.Call("POST", "/otp/request", body), 202, "")
		if got := a.Text("phone"); got != tt.want {
			t.Errorf("%s in %s is read as %s; want %s", tt.phone, tt.region, got, tt.want)
		}
	}
	code := s.Code("+4915123456789")
	answer := servicetest.JSON("phone", "0151 23456789", "region", "DE", "code", code)
	s.Want(s.Call("POST", "/otp/verify", answer), 201, "")
}

// shownLocale returns the locale of the last message to the phone.
func shownLocale(s *servicetest.Service) string {
	s.AwaitMessages()
	messages := s.Call("GET", "/dev/messages?phone="+phone, "").Field("messages").([]any)
	return messages[0].(map[string]any)["locale"].(string)
}

// TestLocaleIsNeverRefused checks that no login fails for the language that a phone reports.
func TestLocaleIsNeverRefused(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	for locale, want := range map[string]string{
		`"en-US-u-mu-celsius"`: "en-US-u-mu-celsius",
		`"fa_IR"`:              "fa-IR",
		`"de-DE-u-` + strings.Repeat("ca-gregory-", 40) + `nu-latn"`: "",
		`"<b>"`:         "fa",
		`"en-US@posix"`: "fa",
		`"C"`:           "fa",
		`""`:            "fa",
		`null`:          "fa",
		`7`:             "fa",
		`{}`:            "fa",
		`["fa"]`:        "fa",
	} {
		s.Want(s.Call("POST", "/otp/request", `{"phone":"`+phone+`","locale":`+locale+`}`), 202, "")
		if got := shownLocale(s); want != "" && got != want {
			t.Errorf("locale %s: the message has %q; want %q", locale, got, want)
		}
	}
	header := "Accept-Language: tr" + strings.Repeat(", xx;q=0.1", 200)
	s.Want(s.Request(phone, header), 202, "")
	if got := shownLocale(s); got != "tr" {
		t.Errorf("with a long Accept-Language the message has %q; want tr", got)
	}
}

// TestUsersAreFoundAsWritten checks that GET /users finds what POST /otp/request reads.
func TestUsersAreFoundAsWritten(t *testing.T) {
	for region, tt := range map[string]struct {
		phone string
		found []string
	}{
		"IR": {"+989121234567", []string{
			"9121234567", "912123", "0912 123 4567", "+98 (0)912", "+9809121234567", "98912", "0098 912", "۰۹۱۲",
			"\u202a+98912\u202c", "*4567", "*1234567", "*٤٥٦٧",
		}},
		"RU": {"+79161234567", []string{"89161234567", "8916", "8 (916) 123", "+7 916", "7916", "+7 8 916", "*34567"}},
	} {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "DEFAULT_REGION="+region)...)
		s.Login(tt.phone)
		find := func(q string) int {
			return len(s.Want(s.Call("GET", "/users?q="+q, "", servicetest.Admin), 200, "").Field("users").([]any))
		}
		for _, written := range tt.found {
			if find(url.QueryEscape(written)) != 1 {
				t.Errorf("%s: q=%s does not find %s", region, written, tt.phone)
			}
		}
		if find(tt.phone) != 1 { // with a raw plus
			t.Errorf("%s: q=%s without an escape does not find the user", region, tt.phone)
		}
		for _, other := range []string{"*4568", "+98913", "*0000"} {
			if find(url.QueryEscape(other)) != 0 {
				t.Errorf("%s: q=%s finds %s", region, other, tt.phone)
			}
		}
		for _, ill := range []string{"*", "*567", "*abcd", "**", "x"} {
			s.Want(s.Call("GET", "/users?q="+url.QueryEscape(ill), "", servicetest.Admin), 422, "invalid_field")
		}
	}
}
