package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// An adminKey is the hash of an admin key. The key itself is not kept.
type adminKey [sha256.Size]byte

// name returns the beginning of the hash, which names the key in the audit log.
func (k adminKey) name() string { return hex.EncodeToString(k[:4]) }

// A contextKey names a value that one handler of a request leaves to the next.
type contextKey int

// adminKeyName is the name of the admin key that the request was made with.
const adminKeyName contextKey = iota

// requireAdmin passes requests with an admin key on to the next handler. It refuses all others with errAdminKey. A key
// in X-API-Key counts beside a credential that is for someone else, such as a proxy on the way or the caller's own app.
func (s *Server) requireAdmin(c *fiber.Ctx) error {
	for _, text := range []string{credential(c), c.Get("X-API-Key")} {
		offered := adminKey(sha256.Sum256([]byte(text)))
		known := 0
		for _, k := range s.adminKeys {
			known |= subtle.ConstantTimeCompare(offered[:], k[:])
		}
		if known == 1 {
			c.Locals(adminKeyName, offered.name())
			return c.Next()
		}
	}
	return errAdminKey
}

// adminActor returns the holder of the request's admin key as the actor of an event.
func (s *Server) adminActor(c *fiber.Ctx) account.Actor {
	name, _ := c.Locals(adminKeyName).(string)
	return account.Actor{Kind: account.Admin, Client: s.client(c), AdminKey: name}
}

func (s *Server) users(c *fiber.Ctx) error {
	page, err := s.readPage(c)
	if err != nil {
		return err
	}
	users, more, err := s.accounts.List(c.UserContext(), page)
	if err != nil {
		return err
	}
	reply := struct {
		Users      []adminUserReply `json:"users"`
		NextCursor *uuid.UUID       `json:"next_cursor"`
	}{Users: make([]adminUserReply, len(users))}
	for i, u := range users {
		reply.Users[i] = adminReplyOf(u)
	}
	if more {
		reply.NextCursor = &users[len(users)-1].ID
	}
	return c.JSON(reply)
}

func (s *Server) readPage(c *fiber.Ctx) (p account.Page, err error) {
	if p.Limit, p.Before, err = queryCursor(c); err != nil {
		return account.Page{}, err
	}
	if q := queryPhone(c, "q"); q != "" {
		if p.Phone, err = s.phones.Search(q); err != nil {
			return account.Page{}, errField
		}
	}
	return p, nil
}

func (s *Server) user(c *fiber.Ctx) error {
	u, err := s.userInPath(c)
	if err != nil {
		return err
	}
	return c.JSON(adminReplyOf(u))
}

// userInPath returns the user whose identifier is in the path. Its errors are errNotFound and those of
// account.Service.ByID.
func (s *Server) userInPath(c *fiber.Ctx) (account.User, error) {
	id, err := pathID(c)
	if err != nil {
		return account.User{}, err
	}
	return s.accounts.ByID(c.UserContext(), id)
}

// patchUser bans a user or lifts the ban.
func (s *Server) patchUser(c *fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var in struct {
		Banned flag `json:"banned"`
	}
	if err := readBody(c, &in); err != nil {
		return err
	}
	if !in.Banned.isBool {
		return errField
	}
	u, err := s.accounts.SetBanned(c.UserContext(), id, in.Banned.value, s.adminActor(c))
	if err != nil {
		return err
	}
	return c.JSON(adminReplyOf(u))
}

func (s *Server) deleteUser(c *fiber.Ctx) error {
	u, err := s.userInPath(c)
	if err != nil {
		return err
	}
	if err := s.login.Remove(c.UserContext(), u, s.adminActor(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// unlock frees a phone, with or without a user, from the limits of wrong attempts and of messages.
func (s *Server) unlock(c *fiber.Ctx) error {
	var in struct {
		Phone  field `json:"phone"`
		Region field `json:"region"`
	}
	if err := readBody(c, &in); err != nil {
		return err
	}
	number, err := s.parsePhone(in.Phone, in.Region)
	if err != nil {
		return err
	}
	if _, err := s.login.Unlock(c.UserContext(), number, s.adminActor(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (s *Server) userSessions(c *fiber.Ctx) error {
	u, err := s.userInPath(c)
	if err != nil {
		return err
	}
	sessions, err := s.accounts.Sessions(c.UserContext(), u.ID)
	if err != nil {
		return err
	}
	return c.JSON(sessionsReply(sessions, uuid.Nil))
}

func (s *Server) endUserSessions(c *fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := s.accounts.EndSessions(c.UserContext(), id, s.adminActor(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}
