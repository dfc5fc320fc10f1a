package httpapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/token"
)

// A caller is the user of an access token whose session is live.
type caller struct {
	account.User
	session uuid.UUID
}

func (s *Server) caller(c *fiber.Ctx) (caller, error) {
	user, session, err := s.Tokens.Verify(bearer(c))
	if err != nil {
		return caller{}, err
	}
	u, err := s.Accounts.BySession(c.UserContext(), user, session)
	return caller{u, session}, orToken(err)
}

// by is the caller as the audit knows it.
func (s *Server) by(c *fiber.Ctx, who caller) account.Actor {
	return account.Actor{Kind: account.Person, Session: who.session, Client: s.device(c)}
}

// orToken blames the token where the user or the session that it is of is gone.
func orToken(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return token.ErrInvalid
	}
	return err
}

// bearer is the credential of an Authorization header (RFC 6750 §2.1), or empty.
func bearer(c *fiber.Ctx) string {
	scheme, credential, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credential)
}

func (s *Server) me(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	return c.JSON(replyOf(who.User))
}

func (s *Server) deleteMe(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	return orToken(s.remove(c, who.User, s.by(c, who)))
}

// remove removes a user and all that is kept of the phone. Redis comes first: if it cannot be asked, all
// stays as it was and the call can be made again.
func (s *Server) remove(c *fiber.Ctx, u account.User, by account.Actor) error {
	if err := s.OTP.Forget(c.UserContext(), u.Phone); err != nil {
		return err
	}
	if err := s.Accounts.Delete(c.UserContext(), u.ID, by); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (s *Server) logout(c *fiber.Ctx) error {
	everywhere, err := readSwitch(c, "everywhere")
	if err != nil {
		return err
	}
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	if everywhere {
		err = s.Accounts.EndSessions(c.UserContext(), who.ID, s.by(c, who))
	} else {
		err = s.Accounts.EndSession(c.UserContext(), who.ID, who.session, s.by(c, who))
	}
	if err != nil {
		return orToken(err)
	}
	return c.SendStatus(fiber.StatusNoContent)
}

type sessionReply struct {
	ID         uuid.UUID `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	Current    *bool     `json:"current,omitempty"` // only where the caller is in a session
}

func sessionsReply(sessions []account.Session, current uuid.UUID) any {
	replies := make([]sessionReply, len(sessions))
	for i, session := range sessions {
		replies[i] = sessionReply{
			ID: session.ID, CreatedAt: session.CreatedAt, LastUsedAt: session.LastUsedAt,
			UserAgent: session.Client.UserAgent, IP: session.Client.IP,
		}
		if current != uuid.Nil {
			isCurrent := session.ID == current
			replies[i].Current = &isCurrent
		}
	}
	return fiber.Map{"sessions": replies}
}

func (s *Server) mySessions(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	sessions, err := s.Accounts.Sessions(c.UserContext(), who.ID)
	if err != nil {
		return err
	}
	return c.JSON(sessionsReply(sessions, who.session))
}

func (s *Server) endMySession(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := s.Accounts.EndSession(c.UserContext(), who.ID, id, s.by(c, who)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (s *Server) requestPhone(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	return s.send(c, otp.ForPhone(who.ID))
}

// verifyPhone leaves the code of a number that is another user's as it is, so that nothing tells it from a
// wrong one.
func (s *Server) verifyPhone(c *fiber.Ctx) error {
	who, err := s.caller(c)
	if err != nil {
		return err
	}
	answer, err := s.readAnswer(c, otp.ForPhone(who.ID))
	if err != nil {
		return err
	}
	by := s.by(c, who)
	var user account.User
	err = s.OTP.Verify(c.UserContext(), answer, func(ctx context.Context, _ otp.ChallengeID) (spent bool, err error) {
		user, err = s.Accounts.ChangePhone(ctx, who.ID, answer.Phone, by)
		return err == nil, err
	})
	if err != nil {
		return orToken(err)
	}
	return c.JSON(replyOf(user))
}
