package httpapi

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/phone"
)

// LoginPage is what the login page needs to know of the settings.
type LoginPage struct {
	AppName       string   // Defaults to none.
	DefaultRegion string   // An ISO 3166 code. Defaults to none.
	Regions       []string // ISO 3166 codes, or "*" for all.
	CodeLength    int      // Digits of a code.
	TermsURL      string   // Of http or https. Defaults to no link.
	PrivacyURL    string   // Of http or https. Defaults to no link.
	SMSNotice     bool     // Whether the page says that carriers may charge for a message.
}

// mountLogin registers the login page and the settings that it loads.
func (s *Server) mountLogin(p LoginPage) {
	s.mountPage("/", "login")
	s.mountFile("/favicon.ico", readFile("pages/login/icon.svg")) // browsers request it from every page of an origin
	regions, plans := phone.Regions(p.Regions)
	settings, err := json.Marshal(struct {
		AppName       string                `json:"app_name"`
		DefaultRegion string                `json:"default_region"`
		CodeLength    int                   `json:"code_length"`
		TermsURL      string                `json:"terms_url"`
		PrivacyURL    string                `json:"privacy_url"`
		SMSNotice     bool                  `json:"sms_notice"`
		Dev           bool                  `json:"dev"` // whether /dev/messages exists
		Regions       []phone.Region        `json:"regions"`
		Plans         map[string]phone.Plan `json:"plans"` // by calling code
	}{
		p.AppName,
		p.DefaultRegion,
		p.CodeLength,
		p.TermsURL,
		p.PrivacyURL,
		p.SMSNotice,
		s.inbox != nil,
		regions,
		plans,
	})
	if err != nil { // no value of these types fails to marshal
		panic(err)
	}
	s.mountFile("/login/settings.json", newFile(fiber.MIMEApplicationJSON, settings))
}
