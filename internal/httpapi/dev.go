package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/address"
)

const devPath = "/dev/messages"

// devMessages answers with the messages that the console has shown, so that whoever develops an app sees the codes of
// all phones without leaving the browser. No page of a stranger may, nor anybody by a name that is known to the world.
func (s *Server) devMessages(c *fiber.Ctx) error {
	if host := c.Request().Host(); !address.IsLocalName(string(host)) { // c.Hostname() believes X-Forwarded-Host
		return errNotFound
	}
	to := ""
	if written := c.Query("phone"); written != "" {
		number, err := s.Phones.Parse(written)
		if err != nil {
			return err
		}
		to = number.E164()
	}
	type message struct {
		ID      string    `json:"id"`
		To      string    `json:"to"`
		Channel string    `json:"channel"`
		Code    string    `json:"code"`
		Text    string    `json:"text"`
		Locale  string    `json:"locale"`
		SentAt  time.Time `json:"sent_at"`
	}
	messages := []message{}
	for m, at := range s.Inbox {
		if to == "" || to == m.To.E164() {
			messages = append(messages, message{m.ID, m.To.E164(), m.Channel, m.Code, m.Text, m.Locale, at})
		}
	}
	return c.JSON(fiber.Map{"messages": messages})
}
