package httpapi

import (
	"math"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/phone"
)

// A userReply is a user as the user sees it.
type userReply struct {
	ID          uuid.UUID  `json:"id"`
	Phone       *string    `json:"phone"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

func replyOf(u account.User) userReply {
	r := userReply{ID: u.ID, CreatedAt: u.CreatedAt, LastLoginAt: timeOrNull(u.LastLoginAt)}
	if u.Phone != (phone.Number{}) {
		e164 := u.Phone.E164()
		r.Phone = &e164
	}
	return r
}

// An adminUserReply is a user as an admin sees it.
type adminUserReply struct {
	userReply
	Banned   bool       `json:"banned"`
	BannedAt *time.Time `json:"banned_at"`
}

func adminReplyOf(u account.User) adminUserReply {
	return adminUserReply{replyOf(u), !u.BannedAt.IsZero(), timeOrNull(u.BannedAt)}
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

// loginReply has the fields of tokensReply only if the login has tokens.
func loginReply(l login.Login) any {
	reply := struct {
		*tokensReply
		NewUser     bool      `json:"new_user"`
		DeviceToken string    `json:"device_token,omitempty"`
		User        userReply `json:"user"`
	}{NewUser: l.New, DeviceToken: l.DeviceToken, User: replyOf(l.User)}
	if l.Tokens != nil {
		tokens := replyOfTokens(*l.Tokens)
		reply.tokensReply = &tokens
	}
	return reply
}

type sessionReply struct {
	ID         uuid.UUID `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	Current    *bool     `json:"current,omitempty"`
}

// sessionsReply marks the current session. An admin has none: with uuid.Nil the field is left out.
func sessionsReply(sessions []account.Session, current uuid.UUID) any {
	replies := make([]sessionReply, len(sessions))
	for i, session := range sessions {
		replies[i] = sessionReply{
			ID:         session.ID,
			CreatedAt:  session.CreatedAt,
			LastUsedAt: session.LastUsedAt,
			UserAgent:  session.Client.UserAgent,
			IP:         session.Client.IP,
		}
		if current != uuid.Nil {
			isCurrent := session.ID == current
			replies[i].Current = &isCurrent
		}
	}
	return fiber.Map{"sessions": replies}
}

// timeOrNull returns nil for the zero time, which is null in JSON.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// idOrNull returns nil for uuid.Nil, which is null in JSON.
func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// seconds rounds down, so that nothing is promised for longer than it lasts.
func seconds(d time.Duration) int { return int(d / time.Second) }

// secondsToWait rounds up, so that a client that waits this long has waited long enough. It returns at least 1.
func secondsToWait(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// resendIn is secondsToWait, or 0 if the next message may be requested at once.
func resendIn(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return secondsToWait(d)
}
