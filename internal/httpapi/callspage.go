package httpapi

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"
)

// mountCalls registers the page of the calls, which has the colour of the login page, and the settings that it loads.
func (s *Server) mountCalls(o Options) {
	var brand LoginPage
	if o.LoginPage != nil {
		brand = *o.LoginPage
	}
	s.mountPage("/docs", "docs")
	settings := struct {
		LoginPage    bool   `json:"login_page"`
		ExamplePhone string `json:"example_phone"` // is logged in by the page; empty without /dev/messages
	}{LoginPage: o.LoginPage != nil}
	if o.Inbox != nil {
		settings.ExamplePhone = o.ExamplePhone
	}
	text, err := json.Marshal(settings)
	if err != nil { // no value of these types fails to marshal
		panic(err)
	}
	s.mountFile("/docs/brand.css", brand.stylesheet())
	s.mountFile("/docs/settings.json", newFile(fiber.MIMEApplicationJSON, text))
}
