package httpapi

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/text"
)

// request sends a code for a login.
func (s *Server) request(c *fiber.Ctx) error {
	r, err := s.readRequest(c)
	if err != nil {
		return err
	}
	accepted, err := s.login.Request(c.UserContext(), r)
	if err != nil {
		return err
	}
	return writeAccepted(c, r.Phone, accepted)
}

// readRequest reads a request for a code of any purpose.
func (s *Server) readRequest(c *fiber.Ctx) (otp.Request, error) {
	var in struct {
		Phone   field `json:"phone"`
		Region  field `json:"region"`
		Channel field `json:"channel"`
		Locale  field `json:"locale"`

		DeviceToken field `json:"device_token"`
	}
	if err := readBody(c, &in); err != nil {
		return otp.Request{}, err
	}
	number, err := s.parsePhone(in.Phone, in.Region)
	if err != nil {
		return otp.Request{}, err
	}
	known := slices.Contains([]string{otp.SMS, otp.WhatsApp, otp.Telegram, otp.Voice}, in.Channel.text)
	if in.Channel.present && !known {
		return otp.Request{}, errField
	}
	return otp.Request{
		Phone:          number,
		Address:        s.address(c),
		Device:         in.DeviceToken.text,
		Channel:        in.Channel.text,
		Locale:         text.Tag(in.Locale.text),
		AcceptLanguage: strings.Clone(c.Get(fiber.HeaderAcceptLanguage)),
	}, nil
}

func writeAccepted(c *fiber.Ctx, p phone.Number, a otp.Accepted) error {
	return c.Status(fiber.StatusAccepted).JSON(struct {
		Phone      string   `json:"phone"`
		Channel    string   `json:"channel"`
		Channels   []string `json:"channels"`
		ExpiresIn  int      `json:"expires_in"`
		ResendIn   int      `json:"resend_in"`
		CodeLength int      `json:"code_length"`
		RequestID  string   `json:"request_id"`
	}{p.E164(), a.Channel, a.Channels, seconds(a.ExpiresIn), resendIn(a.ResendIn), a.Length, a.Ticket})
}

// status reports the state of a requested message.
func (s *Server) status(c *fiber.Ctx) error {
	status, err := s.codes.Status(c.UserContext(), c.Query("request_id"))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Status   otp.State `json:"status"`
		ResendIn int       `json:"resend_in"`
	}{status.State, resendIn(status.ResendIn)})
}

// verify logs in with a code.
func (s *Server) verify(c *fiber.Ctx) error {
	answer, err := s.readAnswer(c)
	if err != nil {
		return err
	}
	login, err := s.login.Login(c.UserContext(), answer, s.client(c))
	if err != nil {
		return err
	}
	status := fiber.StatusOK
	if login.New {
		status = fiber.StatusCreated
	}
	return c.Status(status).JSON(loginReply(login))
}

// readAnswer reads a phone and the code that was sent to it, for any purpose. A request_id or a device_token that is
// not a string is treated as missing.
func (s *Server) readAnswer(c *fiber.Ctx) (otp.Answer, error) {
	var in struct {
		Phone       field `json:"phone"`
		Region      field `json:"region"`
		Code        field `json:"code"`
		RequestID   field `json:"request_id"`
		DeviceToken field `json:"device_token"`
	}
	if err := readBody(c, &in); err != nil {
		return otp.Answer{}, err
	}
	number, err := s.parsePhone(in.Phone, in.Region)
	if err != nil {
		return otp.Answer{}, err
	}
	if !in.Code.isString {
		return otp.Answer{}, otp.ErrCodeFormat
	}
	code, err := s.codes.ReadCode(in.Code.text)
	return otp.Answer{
		Phone:   number,
		Code:    code,
		Address: s.address(c),
		Ticket:  in.RequestID.text,
		Device:  in.DeviceToken.text,
	}, err
}

// refresh exchanges a refresh token for new tokens.
func (s *Server) refresh(c *fiber.Ctx) error {
	var in struct {
		RefreshToken field `json:"refresh_token"`
	}
	if err := readBody(c, &in); err != nil {
		return err
	}
	if !in.RefreshToken.isString {
		return errField
	}
	tokens, err := s.accounts.Refresh(c.UserContext(), in.RefreshToken.text, s.client(c))
	if err != nil {
		return err
	}
	return c.JSON(replyOfTokens(tokens))
}
