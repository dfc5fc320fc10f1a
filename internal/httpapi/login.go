package httpapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

func (s *Server) request(c *fiber.Ctx) error { return s.send(c, otp.ForLogin) }

// send sends a code for a purpose to the phone that the body names.
func (s *Server) send(c *fiber.Ctx, p otp.Purpose) error {
	r, err := s.readRequest(c)
	if err != nil {
		return err
	}
	r.Purpose = p
	accepted, err := s.OTP.Request(c.UserContext(), r)
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).JSON(struct {
		Phone      string `json:"phone"`
		Channel    string `json:"channel"`
		ExpiresIn  int    `json:"expires_in"`
		ResendIn   int    `json:"resend_in"`
		CodeLength int    `json:"code_length"`
		RequestID  string `json:"request_id"`
	}{r.Phone.E164(), accepted.Channel, seconds(accepted.ExpiresIn), resendIn(accepted.ResendIn), accepted.Length, accepted.Ticket})
}

func (s *Server) readRequest(c *fiber.Ctx) (otp.Request, error) {
	var in struct {
		Phone   field `json:"phone"`
		Channel field `json:"channel"`
		Locale  field `json:"locale"`
	}
	if err := body(c, &in); err != nil {
		return otp.Request{}, err
	}
	number, err := s.phone(in.Phone)
	if err != nil {
		return otp.Request{}, err
	}
	tag := strings.ReplaceAll(in.Locale.text, "_", "-") // fa_IR is what many programs call fa-IR
	known := slices.Contains([]string{otp.SMS, otp.WhatsApp, otp.Telegram, otp.Voice}, in.Channel.text)
	if in.Channel.present && !known || in.Locale.present && !locale.MatchString(tag) {
		return otp.Request{}, errField
	}
	return otp.Request{
		Phone: number, Address: s.client(c), Channel: in.Channel.text,
		Locale: tag, Accepted: strings.Clone(c.Get(fiber.HeaderAcceptLanguage)),
	}, nil
}

// status tells what became of the message of a request.
func (s *Server) status(c *fiber.Ctx) error {
	status, err := s.OTP.Status(c.UserContext(), c.Query("request_id"))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Status   otp.State `json:"status"`
		ResendIn int       `json:"resend_in"`
	}{status.State, resendIn(status.ResendIn)})
}

func (s *Server) verify(c *fiber.Ctx) error {
	answer, err := s.readAnswer(c, otp.ForLogin)
	if err != nil {
		return err
	}
	device := s.device(c)
	var login account.Login
	err = s.OTP.Verify(c.UserContext(), answer, func(ctx context.Context, challenge otp.ChallengeID) (spent bool, err error) {
		login, err = s.Accounts.Login(ctx, answer.Phone, challenge, device)
		return err == nil || errors.Is(err, account.ErrSpent) || errors.Is(err, account.ErrBanned), err
	})
	if err != nil {
		return err
	}
	status := fiber.StatusOK
	if login.New {
		status = fiber.StatusCreated
	}
	return c.Status(status).JSON(loginReply(login))
}

func (s *Server) readAnswer(c *fiber.Ctx, p otp.Purpose) (otp.Answer, error) {
	var in struct {
		Phone field `json:"phone"`
		Code  field `json:"code"`
	}
	if err := body(c, &in); err != nil {
		return otp.Answer{}, err
	}
	number, err := s.phone(in.Phone)
	if err != nil {
		return otp.Answer{}, err
	}
	if !in.Code.isString {
		return otp.Answer{}, otp.ErrCodeFormat
	}
	code, err := s.OTP.ReadCode(in.Code.text)
	return otp.Answer{Phone: number, Code: code, Purpose: p}, err
}

func (s *Server) phone(f field) (phone.Number, error) {
	if !f.isString {
		return phone.Number{}, phone.ErrInvalid
	}
	return s.Phones.Parse(f.text)
}

func (s *Server) refresh(c *fiber.Ctx) error {
	var in struct {
		RefreshToken field `json:"refresh_token"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	if !in.RefreshToken.isString {
		return errField
	}
	tokens, err := s.Accounts.Refresh(c.UserContext(), in.RefreshToken.text, s.device(c))
	if err != nil {
		return err
	}
	return c.JSON(replyOfTokens(tokens))
}

type userReply struct {
	ID          uuid.UUID  `json:"id"`
	Phone       *string    `json:"phone"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

func replyOf(u account.User) userReply {
	r := userReply{ID: u.ID, CreatedAt: u.CreatedAt, LastLoginAt: moment(u.LastLoginAt)}
	if u.Phone != (phone.Number{}) {
		e164 := u.Phone.E164()
		r.Phone = &e164
	}
	return r
}

// moment is null in JSON where there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type tokensReply struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

func replyOfTokens(t account.Tokens) tokensReply {
	return tokensReply{t.Access, "Bearer", seconds(t.AccessTTL), t.Refresh, seconds(t.RefreshTTL)}
}

func loginReply(l account.Login) any {
	reply := struct {
		*tokensReply
		NewUser bool      `json:"new_user"`
		User    userReply `json:"user"`
	}{NewUser: l.New, User: replyOf(l.User)}
	if l.Tokens != nil {
		tokens := replyOfTokens(*l.Tokens)
		reply.tokensReply = &tokens
	}
	return reply
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// resendIn rounds up, so that waiting that long is enough; 0 = at once.
func resendIn(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return wholeSeconds(d)
}
