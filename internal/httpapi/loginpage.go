package httpapi

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/phone"
)

// LoginPage says what the login page has to know. Where it is nil, there is no such page.
type LoginPage struct {
	AppName       string   // may be empty
	DefaultRegion string   // an ISO 3166 code, or empty
	Regions       []string // ISO 3166 codes, or "*"
	CodeLength    int
}

// mountLogin serves the login page and what it asks for before it can be used.
func (s *Server) mountLogin() {
	s.mountPage("/", "login")
	s.mountFile("/favicon.ico", readFile("pages/login/icon.svg")) // browsers ask for it on every page of an origin
	regions, plans := phone.Regions(s.LoginPage.Regions)
	settings, err := json.Marshal(struct {
		AppName       string                `json:"app_name"`
		DefaultRegion string                `json:"default_region"`
		CodeLength    int                   `json:"code_length"`
		Dev           bool                  `json:"dev"` // whether /dev/messages is there
		Regions       []phone.Region        `json:"regions"`
		Plans         map[string]phone.Plan `json:"plans"` // by calling code
	}{s.LoginPage.AppName, s.LoginPage.DefaultRegion, s.LoginPage.CodeLength, s.Inbox != nil, regions, plans})
	if err != nil {
		panic(err)
	}
	s.mountFile("/login/settings.json", newFile(fiber.MIMEApplicationJSON, settings))
}
