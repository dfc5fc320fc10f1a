package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/token"
)

// channel is the one way that codes are sent.
const channel = "sms"

func (s *Server) request(c *fiber.Ctx) error {
	r, err := s.readRequest(c)
	if err != nil {
		return err
	}
	sent, err := s.OTP.Request(c.UserContext(), r)
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).JSON(struct {
		Phone      string `json:"phone"`
		Channel    string `json:"channel"`
		ExpiresIn  int    `json:"expires_in"`
		ResendIn   int    `json:"resend_in"`
		CodeLength int    `json:"code_length"`
	}{r.Phone.E164(), r.Channel, seconds(sent.ExpiresIn), resendIn(sent.ResendIn), sent.Length})
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
	if in.Channel.present && in.Channel.text != channel || in.Locale.present && !locale.MatchString(in.Locale.text) {
		return otp.Request{}, errField
	}
	return otp.Request{Phone: number, Address: s.client(c), Channel: channel, Locale: in.Locale.text}, nil
}

func (s *Server) verify(c *fiber.Ctx) error {
	number, code, err := s.readVerify(c)
	if err != nil {
		return err
	}
	device := s.device(c)
	var login account.Login
	err = s.OTP.Verify(c.UserContext(), number, code, func(ctx context.Context, challenge otp.ChallengeID) (spent bool, err error) {
		login, err = s.Accounts.Login(ctx, number, challenge, device)
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

func (s *Server) readVerify(c *fiber.Ctx) (phone.Number, otp.Code, error) {
	var in struct {
		Phone field `json:"phone"`
		Code  field `json:"code"`
	}
	if err := body(c, &in); err != nil {
		return phone.Number{}, otp.Code{}, err
	}
	number, err := s.phone(in.Phone)
	if err != nil {
		return phone.Number{}, otp.Code{}, err
	}
	if !in.Code.isString {
		return phone.Number{}, otp.Code{}, otp.ErrCodeFormat
	}
	code, err := s.OTP.ReadCode(in.Code.text)
	return number, code, err
}

func (s *Server) phone(f field) (phone.Number, error) {
	if !f.isString {
		return phone.Number{}, phone.ErrInvalid
	}
	return s.Numbers.Parse(f.text)
}

type userReply struct {
	ID          uuid.UUID  `json:"id"`
	Phone       string     `json:"phone"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

func replyOf(u account.User) userReply {
	r := userReply{ID: u.ID, Phone: u.Phone.E164(), CreatedAt: u.CreatedAt}
	if !u.LastLoginAt.IsZero() {
		r.LastLoginAt = &u.LastLoginAt
	}
	return r
}

type tokensReply struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

func loginReply(l account.Login) any {
	reply := struct {
		*tokensReply
		NewUser bool      `json:"new_user"`
		User    userReply `json:"user"`
	}{NewUser: l.New, User: replyOf(l.User)}
	if t := l.Tokens; t != nil {
		reply.tokensReply = &tokensReply{t.Access, "Bearer", seconds(t.AccessTTL), t.Refresh, seconds(t.RefreshTTL)}
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

func (s *Server) me(c *fiber.Ctx) error {
	user, session, err := s.Tokens.Verify(bearer(c))
	if err != nil {
		return err
	}
	u, err := s.Accounts.BySession(c.UserContext(), user, session)
	if errors.Is(err, account.ErrNotFound) {
		return token.ErrInvalid
	}
	if err != nil {
		return err
	}
	return c.JSON(replyOf(u))
}

// bearer is the credential of an Authorization header (RFC 6750 §2.1), or empty.
func bearer(c *fiber.Ctx) string {
	scheme, credential, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credential)
}

// admin lets a request with the admin key pass.
func (s *Server) admin(c *fiber.Ctx) error {
	key := bearer(c)
	if key == "" {
		key = c.Get("X-API-Key")
	}
	hash := sha256.Sum256([]byte(key))
	if subtle.ConstantTimeCompare(hash[:], s.adminKeyHash[:]) != 1 {
		return errAdminKey
	}
	return c.Next()
}

func (s *Server) users(c *fiber.Ctx) error {
	page, err := s.readPage(c)
	if err != nil {
		return err
	}
	users, more, err := s.Accounts.List(c.UserContext(), page)
	if err != nil {
		return err
	}
	reply := struct {
		Users      []userReply `json:"users"`
		NextCursor *uuid.UUID  `json:"next_cursor"`
	}{Users: make([]userReply, len(users))}
	for i, u := range users {
		reply.Users[i] = replyOf(u)
	}
	if more {
		reply.NextCursor = &users[len(users)-1].ID
	}
	return c.JSON(reply)
}

const (
	defaultLimit = 20
	maxLimit     = 100
)

func (s *Server) readPage(c *fiber.Ctx) (account.Page, error) {
	page := account.Page{Limit: defaultLimit}
	if limit := c.Query("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxLimit {
			return account.Page{}, errField
		}
		page.Limit = n
	}
	if cursor := c.Query("cursor"); cursor != "" {
		id, err := parseID(cursor)
		if err != nil {
			return account.Page{}, errField
		}
		page.Before = id
	}
	if q := c.Query("q"); q != "" {
		prefix, err := s.Numbers.Prefix(q)
		if err != nil {
			return account.Page{}, errField
		}
		page.Prefix = prefix
	}
	return page, nil
}

func (s *Server) user(c *fiber.Ctx) error {
	id, err := parseID(c.Params("id"))
	if err != nil {
		return errNotFound
	}
	u, err := s.Accounts.ByID(c.UserContext(), id)
	if err != nil {
		return err
	}
	return c.JSON(replyOf(u))
}

// parseID reads an identifier in its one usual form (RFC 9562 §4).
func parseID(text string) (uuid.UUID, error) {
	if len(text) != len(uuid.Nil.String()) {
		return uuid.Nil, errField
	}
	return uuid.Parse(text)
}

// ready answers 200 if every dependency does, with one entry for each.
func (s *Server) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), time.Second)
	defer cancel()
	errs := make([]error, len(s.Checks))
	var wg sync.WaitGroup
	for i, check := range s.Checks {
		wg.Go(func() { errs[i] = check.Ping(ctx) })
	}
	wg.Wait()
	checks := make(map[string]string)
	for i, check := range s.Checks {
		if checks[check.Name] = "up"; errs[i] != nil {
			checks[check.Name] = "down"
		}
	}
	if s.stopping.Load() {
		errs = append(errs, errors.New("stopping"))
	}
	if err := errors.Join(errs...); err != nil {
		return &notReadyError{checks, err}
	}
	return c.JSON(fiber.Map{"status": "ready", "checks": checks})
}

//go:embed openapi.yaml
var openAPI []byte

func (s *Server) document(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml") // RFC 9512
	return c.Send(openAPI)
}
