package httpapi

import (
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/token"
)

// A bearer is the user of the request's access token, whose session is live.
type bearer struct {
	account.User
	session uuid.UUID
}

// bearer returns the request's bearer. Its errors are token.ErrInvalid, account.ErrBanned and account.ErrUnavailable.
func (s *Server) bearer(c *fiber.Ctx) (bearer, error) {
	user, session, err := s.tokens.Verify(credential(c))
	if err != nil {
		return bearer{}, err
	}
	u, err := s.accounts.BySession(c.UserContext(), user, session)
	return bearer{u, session}, invalidToken(err)
}

// credential returns the Bearer credential of the Authorization header (RFC 6750 §2.1), or an empty string.
func credential(c *fiber.Ctx) string {
	scheme, credential, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credential)
}

// bearerActor returns the bearer as the actor of an event.
func (s *Server) bearerActor(c *fiber.Ctx, b bearer) account.Actor {
	return account.Actor{Kind: account.Person, Session: b.session, Client: s.client(c)}
}

// invalidToken replaces account.ErrNotFound by token.ErrInvalid: a token whose user or session is gone is no longer
// valid. Other errors, and nil, are returned as they are.
func invalidToken(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return token.ErrInvalid
	}
	return err
}

func (s *Server) me(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	return c.JSON(replyOf(b.User))
}

func (s *Server) deleteMe(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	if err := s.login.Remove(c.UserContext(), b.User, s.bearerActor(c, b)); err != nil {
		return invalidToken(err)
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (s *Server) logOut(c *fiber.Ctx) error {
	everywhere, err := queryBool(c, "everywhere")
	if err != nil {
		return err
	}
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	if everywhere {
		err = s.accounts.EndSessions(c.UserContext(), b.ID, s.bearerActor(c, b))
	} else {
		err = s.accounts.EndSession(c.UserContext(), b.ID, b.session, s.bearerActor(c, b))
	}
	if err != nil {
		return invalidToken(err)
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (s *Server) mySessions(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	sessions, err := s.accounts.Sessions(c.UserContext(), b.ID)
	if err != nil {
		return err
	}
	return c.JSON(sessionsReply(sessions, b.session))
}

func (s *Server) endMySession(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := s.accounts.EndSession(c.UserContext(), b.ID, id, s.bearerActor(c, b)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// requestPhoneChange sends a code for a change of the bearer's phone.
func (s *Server) requestPhoneChange(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	r, err := s.readRequest(c)
	if err != nil {
		return err
	}
	accepted, err := s.login.RequestPhoneChange(c.UserContext(), b.ID, r)
	if err != nil {
		return err
	}
	return writeAccepted(c, r.Phone, accepted)
}

// verifyPhoneChange changes the bearer's phone with a code.
func (s *Server) verifyPhoneChange(c *fiber.Ctx) error {
	b, err := s.bearer(c)
	if err != nil {
		return err
	}
	answer, err := s.readAnswer(c)
	if err != nil {
		return err
	}
	user, deviceToken, err := s.login.ChangePhone(c.UserContext(), b.ID, answer, s.bearerActor(c, b))
	if err != nil {
		return invalidToken(err)
	}
	return c.JSON(struct {
		userReply
		DeviceToken string `json:"device_token,omitempty"`
	}{replyOf(user), deviceToken})
}
