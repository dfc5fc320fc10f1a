package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/address"
)

const devPath = "/dev/messages"

// A devMessage is a message that the console provider has shown.
type devMessage struct {
	ID      string    `json:"id"`
	To      string    `json:"to"`
	Channel string    `json:"channel"`
	Code    string    `json:"code"`
	Text    string    `json:"text"`
	Locale  string    `json:"locale"`
	SentAt  time.Time `json:"sent_at"`
}

// devMessages answers with the messages that the console provider has shown, so that a developer sees the codes of all
// phones in the browser. It answers only under a local host name: under a name that the public DNS resolves, a page of
// a stranger could read the codes by DNS rebinding.
func (s *Server) devMessages(c *fiber.Ctx) error {
	if host := c.Request().Host(); !address.IsLocalName(string(host)) { // c.Hostname() believes X-Forwarded-Host
		return errNotFound
	}
	to := ""
	if written := queryPhone(c, "phone"); written != "" {
		number, err := s.phones.Parse(written)
		if err != nil {
			return err
		}
		to = number.E164()
	}
	messages := []devMessage{}
	for m, at := range s.inbox {
		if to == "" || to == m.To.E164() {
			messages = append(messages, devMessage{m.ID, m.To.E164(), m.Channel, m.Code, m.Text, m.Locale, at})
		}
	}
	return c.JSON(fiber.Map{"messages": messages})
}
