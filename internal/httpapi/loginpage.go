package httpapi

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/phone"
)

// LoginPage is what the login page needs to know of the settings.
type LoginPage struct {
	AppName       string      // Defaults to none.
	DefaultRegion string      // An ISO 3166 code. Defaults to none.
	Regions       []string    // ISO 3166 codes, or "*" for all.
	TermsURL      string      // Of http or https. Defaults to no link.
	PrivacyURL    string      // Of http or https. Defaults to no link.
	SMSNotice     bool        // Whether the page says that carriers may charge for a message.
	Color         brand.Color // Defaults to the page's own.
	Logo          brand.Logo  // Defaults to the built-in icon.
}

// ownColor is the accent of the built-in icon and of login.css.
const ownColor brand.Color = "#3f51d9"

// logoPolicy lets a logo that is opened by itself show its own styles, images and fonts, and run no script.
const logoPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"

// icon returns the logo, or the built-in icon in the colour of the page.
func (p LoginPage) icon() *file {
	media, text := p.Logo.MediaType, p.Logo.Text
	if media == "" {
		own := readFile("pages/login/icon.svg")
		media, text = own.mediaType, brand.TintIcon(own.plain(), ownColor, p.Color)
	}
	f := newFile(media, text)
	f.policy = logoPolicy
	return f
}

// stylesheet returns the rules that give a page the colour.
func (p LoginPage) stylesheet() *file {
	return newFile("text/css; charset=utf-8", brand.Stylesheet(p.Color))
}

// logo tells the page how to show the icon: as the built-in one beside the name, or as a logo in place of both, which
// "needs_light" where it cannot be seen on dark.
func (p LoginPage) logo() string {
	switch {
	case p.Logo.MediaType == "":
		return "none"
	case p.Logo.FitsDark:
		return "any"
	}
	return "needs_light"
}

// mountLogin registers the login page and the settings that it loads.
func (s *Server) mountLogin(p LoginPage) {
	s.mountPage("/", "login")
	s.mountFile("/login/brand.css", p.stylesheet())
	s.mountFile("/login/icon", p.icon())
	s.mountFile("/favicon.ico", p.icon()) // browsers request it from every page of an origin
	regions, plans := phone.Regions(p.Regions)
	settings, err := json.Marshal(struct {
		AppName       string                `json:"app_name"`
		DefaultRegion string                `json:"default_region"`
		TermsURL      string                `json:"terms_url"`
		PrivacyURL    string                `json:"privacy_url"`
		SMSNotice     bool                  `json:"sms_notice"`
		Logo          string                `json:"logo"` // none, any or needs_light
		Dev           bool                  `json:"dev"`  // whether /dev/messages exists
		Regions       []phone.Region        `json:"regions"`
		Plans         map[string]phone.Plan `json:"plans"` // by calling code
	}{
		p.AppName,
		p.DefaultRegion,
		p.TermsURL,
		p.PrivacyURL,
		p.SMSNotice,
		p.logo(),
		s.inbox != nil,
		regions,
		plans,
	})
	if err != nil { // no value of these types fails to marshal
		panic(err)
	}
	s.mountFile("/login/settings.json", newFile(fiber.MIMEApplicationJSON, settings))
}
