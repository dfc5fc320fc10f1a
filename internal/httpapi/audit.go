package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

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

func replyOfEvent(e account.Event) eventReply {
	return eventReply{
		ID:        e.ID,
		At:        e.At(),
		Action:    e.Action,
		UserID:    idOrNull(e.User),
		SessionID: idOrNull(e.Session),
		Actor:     e.Actor,
		IP:        e.Client.IP,
		UserAgent: e.Client.UserAgent,
		Detail:    json.RawMessage(e.Detail),
	}
}

func (s *Server) audit(c *fiber.Ctx) error {
	page, err := readEventPage(c)
	if err != nil {
		return err
	}
	events, more, err := s.accounts.Events(c.UserContext(), page)
	if err != nil {
		return err
	}
	reply := struct {
		Events     []eventReply `json:"events"`
		NextCursor *uuid.UUID   `json:"next_cursor"`
	}{Events: make([]eventReply, len(events))}
	for i, e := range events {
		reply.Events[i] = replyOfEvent(e)
	}
	if more {
		reply.NextCursor = &events[len(events)-1].ID
	}
	return c.JSON(reply)
}

func readEventPage(c *fiber.Ctx) (p account.EventPage, err error) {
	if p.Limit, p.Before, err = queryCursor(c); err != nil {
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
			text = strings.ReplaceAll(text, " ", "+") // a + that was not escaped arrives as a space
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return account.EventPage{}, errField
			}
		}
	}
	return p, nil
}
