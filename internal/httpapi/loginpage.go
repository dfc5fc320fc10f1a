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
		Dev           bool                  `json:"dev"` // whether /dev/messages exists
		Regions       []phone.Region        `json:"regions"`
		Plans         map[string]phone.Plan `json:"plans"` // by calling code
	}{p.AppName, p.DefaultRegion, p.CodeLength, s.inbox != nil, regions, plans})
	if err != nil { // no value of these types fails to marshal
		panic(err)
	}
	s.mountFile("/login/settings.json", newFile(fiber.MIMEApplicationJSON, settings))
}
