package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// An adminKey is known by its hash, and named in the audit by the beginning of it.
type adminKey [sha256.Size]byte

func (k adminKey) name() string { return hex.EncodeToString(k[:4]) }

// admin lets a request with an admin key pass.
func (s *Server) admin(c *fiber.Ctx) error {
	text := bearer(c)
	if text == "" {
		text = c.Get("X-API-Key")
	}
	key := adminKey(sha256.Sum256([]byte(text)))
	known := 0
	for _, k := range s.adminKeys {
		known |= subtle.ConstantTimeCompare(key[:], k[:])
	}
	if known != 1 {
		return errAdminKey
	}
	c.Locals(adminName, key.name())
	return c.Next()
}

// byAdmin is the holder of an admin key as the audit knows it.
func (s *Server) byAdmin(c *fiber.Ctx) account.Actor {
	name, _ := c.Locals(adminName).(string)
	return account.Actor{Kind: account.Admin, Client: s.device(c), AdminKey: name}
}

type adminUserReply struct {
	userReply
	Banned   bool       `json:"banned"`
	BannedAt *time.Time `json:"banned_at"`
}

func adminReplyOf(u account.User) adminUserReply {
	return adminUserReply{replyOf(u), !u.BannedAt.IsZero(), moment(u.BannedAt)}
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

func (s *Server) user(c *fiber.Ctx) error {
	u, err := s.named(c)
	if err != nil {
		return err
	}
	return c.JSON(adminReplyOf(u))
}

// named is the user whose identifier is in the path.
func (s *Server) named(c *fiber.Ctx) (account.User, error) {
	id, err := pathID(c)
	if err != nil {
		return account.User{}, err
	}
	return s.Accounts.ByID(c.UserContext(), id)
}

func (s *Server) patchUser(c *fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var in struct {
		Banned flag `json:"banned"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	if !in.Banned.isBool {
		return errField
	}
	u, err := s.Accounts.SetBanned(c.UserContext(), id, in.Banned.value, s.byAdmin(c))
	if err != nil {
		return err
	}
	return c.JSON(adminReplyOf(u))
}

func (s *Server) deleteUser(c *fiber.Ctx) error {
	u, err := s.named(c)
	if err != nil {
		return err
	}
	return s.remove(c, u, s.byAdmin(c))
}

func (s *Server) userSessions(c *fiber.Ctx) error {
	u, err := s.named(c)
	if err != nil {
		return err
	}
	sessions, err := s.Accounts.Sessions(c.UserContext(), u.ID)
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
	if err := s.Accounts.EndSessions(c.UserContext(), id, s.byAdmin(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

type eventReply struct {
	ID        uuid.UUID         `json:"id"`
	At        time.Time         `json:"at"`
	Action    account.Action    `json:"action"`
	UserID    *uuid.UUID        `json:"user_id"`
	SessionID *uuid.UUID        `json:"session_id"`
	Actor     account.ActorKind `json:"actor"`
	IP        string            `json:"ip"`
	UserAgent string            `json:"user_agent"`
	Detail    json.RawMessage   `json:"detail"`
}

func (s *Server) audit(c *fiber.Ctx) error {
	page, err := readEventPage(c)
	if err != nil {
		return err
	}
	events, more, err := s.Accounts.Events(c.UserContext(), page)
	if err != nil {
		return err
	}
	reply := struct {
		Events     []eventReply `json:"events"`
		NextCursor *uuid.UUID   `json:"next_cursor"`
	}{Events: make([]eventReply, len(events))}
	for i, e := range events {
		reply.Events[i] = eventReply{
			ID: e.ID, At: e.At(), Action: e.Action, UserID: identifier(e.User), SessionID: identifier(e.Session), Actor: e.Actor,
			IP: e.Client.IP, UserAgent: e.Client.UserAgent, Detail: json.RawMessage(e.Detail),
		}
	}
	if more {
		reply.NextCursor = &events[len(events)-1].ID
	}
	return c.JSON(reply)
}

// identifier is null in JSON where there is none.
func identifier(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

const (
	defaultLimit = 20
	maxLimit     = 100
)

// readCursor reads how many rows a page may have and what it begins behind.
func readCursor(c *fiber.Ctx) (limit int, before uuid.UUID, err error) {
	limit = defaultLimit
	if text := c.Query("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
			return 0, uuid.Nil, errField
		}
	}
	if cursor := c.Query("cursor"); cursor != "" {
		if before, err = parseID(cursor); err != nil {
			return 0, uuid.Nil, errField
		}
	}
	return limit, before, nil
}

func (s *Server) readPage(c *fiber.Ctx) (p account.Page, err error) {
	if p.Limit, p.Before, err = readCursor(c); err != nil {
		return account.Page{}, err
	}
	if q := c.Query("q"); q != "" {
		if p.Prefix, err = s.Phones.Prefix(q); err != nil {
			return account.Page{}, errField
		}
	}
	return p, nil
}

func readEventPage(c *fiber.Ctx) (p account.EventPage, err error) {
	if p.Limit, p.Before, err = readCursor(c); err != nil {
		return account.EventPage{}, err
	}
	if user := c.Query("user_id"); user != "" {
		if p.User, err = parseID(user); err != nil {
			return account.EventPage{}, errField
		}
	}
	if action := c.Query("action"); action != "" {
		i := slices.Index(account.Actions, account.Action(action))
		if i < 0 {
			return account.EventPage{}, errField
		}
		p.Action = account.Actions[i]
	}
	for name, at := range map[string]*time.Time{"from": &p.From, "to": &p.To} {
		if text := c.Query(name); text != "" {
			text = strings.ReplaceAll(text, " ", "+") // what a + becomes that is not escaped
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return account.EventPage{}, errField
			}
		}
	}
	return p, nil
}

// pathID is the identifier in the path. What is none names nothing: its error is errNotFound.
func pathID(c *fiber.Ctx) (uuid.UUID, error) {
	id, err := parseID(c.Params("id"))
	if err != nil {
		return uuid.Nil, errNotFound
	}
	return id, nil
}

// parseID reads an identifier in its one usual form (RFC 9562 §4).
func parseID(text string) (uuid.UUID, error) {
	if len(text) != len(uuid.Nil.String()) {
		return uuid.Nil, errField
	}
	return uuid.Parse(text)
}
