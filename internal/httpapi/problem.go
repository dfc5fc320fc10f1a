package httpapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/requestid"
	"dekamond-otp/internal/token"
)

var (
	errJSON      = errors.New("httpapi: not one JSON object")
	errMediaType = errors.New("httpapi: not application/json")
	errField     = errors.New("httpapi: invalid field")
	errNotFound  = errors.New("httpapi: not found")
	errNotLocal  = errors.New("httpapi: not from this machine")
	errNotReady  = errors.New("httpapi: not ready")
	errAdminKey  = errors.New("httpapi: wrong admin key")
)

// A problem is the answer to a failure (RFC 9457).
type problem struct {
	status int
	code   string // For programs. It never changes.
	title  string
	detail string
}

var (
	invalidCode = problem{
		401, "invalid_code", "The code is not valid.",
		"It is wrong, expired or used, or was never sent. Ask for a new one after several wrong attempts.",
	}
	tooManyAttempts = problem{
		429, "too_many_requests", "Too many wrong codes.",
		"They came from this address or this user. Try again after the time in retry_after.",
	}
	notFound = problem{
		404, "not_found", "There is nothing here.",
		"No such path, user or session. See /openapi.yaml for the paths.",
	}
	badRequest = problem{
		400, "bad_request", "The request is not valid.",
		"It is not HTTP/1.1 (RFC 9112), or not what the endpoint accepts.",
	}
	unavailable = problem{
		503, "unavailable", "The service is not available.",
		"Usually nothing was used up. Try again in a moment.",
	}
	internal = problem{
		500, "internal_error", "Something went wrong.",
		"The log of the service has the cause, by this request_id.",
	}
)

// problems maps errors to problems. The first match wins. An error that is not in the table is answered as internal.
var problems = []struct {
	err error
	problem
}{
	{phone.ErrNoText, problem{
		422, "invalid_phone", "The phone number is not valid.",
		"This number cannot receive text messages.",
	}},
	{phone.ErrInvalid, problem{
		422, "invalid_phone", "The phone number is not valid.",
		"Write it in international form, such as +989121234567.",
	}},
	{otp.ErrCodeFormat, problem{
		422, "invalid_code_format", "This is not a code.",
		"A code is a string with as many digits as the code in the message.",
	}},
	{errField, problem{
		422, "invalid_field", "A field is not valid.",
		"See /openapi.yaml for what each field and parameter may be.",
	}},
	{errJSON, problem{
		400, "invalid_json", "The body is not valid.",
		"It must be exactly one JSON object in UTF-8, without duplicate names.",
	}},
	{errMediaType, problem{
		415, "unsupported_media_type", "The media type is not supported.",
		"Send application/json, in UTF-8 and not compressed.",
	}},
	{errNotFound, notFound},
	{errNotLocal, problem{
		404, "not_found", "There is nothing here.",
		"The messages are shown on this machine and under its own names only, such as localhost, and through no proxy.",
	}},
	{errNotReady, problem{
		503, "unavailable", "The service is not ready.",
		"The checks say what does not answer.",
	}},
	{errAdminKey, problem{
		401, "invalid_admin_key", "The admin key is not valid.",
		"Send it as Authorization: Bearer <key> or X-API-Key: <key>.",
	}},
	{token.ErrInvalid, problem{
		401, "invalid_token", "The access token is not valid.",
		"Log in again, or get a new one.",
	}},
	{account.ErrRefreshToken, problem{
		401, "invalid_refresh_token", "The refresh token is not valid.",
		"Log in again.",
	}},
	{account.ErrTaken, invalidCode}, // so that the answer does not reveal which phones are users
	{account.ErrBanned, problem{
		403, "banned", "This account is banned.",
		"Login is not possible.",
	}},
	{account.ErrNotFound, notFound},
	{account.ErrSpent, invalidCode},
	{account.ErrUnavailable, unavailable},
	{otp.ErrInvalidCode, invalidCode},
	{otp.ErrRegion, problem{
		403, "destination_not_allowed", "Messages to this number are not allowed.",
		"The service does not send to this country or region.",
	}},
	{otp.ErrResendTooSoon, problem{
		429, "resend_too_soon", "A message was sent a moment ago.",
		"It may still arrive. Ask for another one after the time in retry_after.",
	}},
	{otp.ErrAddressTries, tooManyAttempts},
	{otp.ErrUserTries, tooManyAttempts},
	{otp.ErrThrottled, problem{
		429, "too_many_requests", "Too many requests.",
		"Try again after the time in retry_after.",
	}},
	{otp.ErrChannel, problem{
		422, "invalid_field", "The channel is not available.",
		"Leave it out, and the service chooses a channel that is available.",
	}},
	{otp.ErrUnknown, problem{
		404, "not_found", "The code is no longer live.",
		"It is expired, used or burnt, or there is no such request_id.",
	}},
	{otp.ErrForged, problem{
		401, "invalid_signature", "The call is not the provider's.",
		"Its signature or the secret in its path is not valid.",
	}},
	{otp.ErrCallback, badRequest},
	{otp.ErrUnavailable, unavailable},
}

// httpProblems are the problems of requests that Fiber refuses before a handler runs, by status. Any other status is
// answered as badRequest.
var httpProblems = map[int]problem{
	404: notFound,
	405: {
		405, "method_not_allowed", "The method is not allowed.",
		"The Allow header names those that are.",
	},
	408: {
		408, "request_timeout", "The request took too long.",
		"It must arrive whole within five seconds.",
	},
	413: {
		413, "body_too_large", "The body is too large.",
		"It must not exceed 2 KiB.",
	},
	431: {
		431, "headers_too_large", "The headers are too large.",
		"They are usually cookies. This service takes 16 KiB of headers, or what it is configured to take.",
	},
}

// retryUnavailable is the retry_after of a 503.
const retryUnavailable = 3 * time.Second

// problemOf returns the problem that answers an error.
func problemOf(err error) problem {
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		if p, ok := httpProblems[f.Code]; ok {
			return p
		}
		return badRequest
	}
	for _, p := range problems {
		if errors.Is(err, p.err) {
			return p.problem
		}
	}
	return internal
}

// fail is the error handler. It answers an error with its problem, and logs the error if the fault is the service's.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	if requestid.From(c.UserContext()) == "" { // the request could not be read
		s.prepare(c)
		s.allowUnread(c)
		linger(c)
	}
	p := problemOf(err)
	s.metrics.CountProblem(routeOf(c, err), p.code)
	if p.status >= 500 {
		level := slog.LevelError
		if p.status == fiber.StatusServiceUnavailable {
			level = slog.LevelWarn
		}
		attributes := []slog.Attr{slog.String("error", err.Error())}
		for _, check := range s.checks {
			if errors.Is(err, check.Down) {
				attributes = append(attributes, slog.String("setting", check.Setting))
			}
		}
		s.log.LogAttrs(c.UserContext(), level, "request failed", attributes...)
	}
	c.Status(p.status)
	if p == invalidCode && !acceptsJSON(c) {
		c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
		return c.SendString("no no no")
	}
	if p.code == "invalid_token" || p.code == "invalid_admin_key" {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer") // RFC 6750 §3
	}
	return writeProblem(c, p, err)
}

// writeProblem writes the problem's body, with the members and headers that depend on the error.
func writeProblem(c *fiber.Ctx, p problem, err error) error {
	body := struct {
		Type       string            `json:"type"`
		Title      string            `json:"title"`
		Status     int               `json:"status"`
		Detail     string            `json:"detail"`
		Code       string            `json:"code"`
		RequestID  string            `json:"request_id"`
		RetryAfter int               `json:"retry_after,omitempty"`
		Checks     map[string]string `json:"checks,omitempty"`
		CodeLive   bool              `json:"code_live,omitempty"`
		ExpiresIn  int               `json:"expires_in,omitempty"`
		CodeLength int               `json:"code_length,omitempty"`
	}{
		Type:      "urn:dekamond-otp:problem:" + p.code,
		Title:     p.title,
		Status:    p.status,
		Detail:    p.detail,
		Code:      p.code,
		RequestID: requestid.From(c.UserContext()),
	}
	if throttled, ok := errors.AsType[*otp.ThrottledError](err); ok {
		body.RetryAfter = secondsToWait(throttled.RetryAfter)
		if live := throttled.Live; live != nil && live.ExpiresIn >= time.Second {
			body.CodeLive, body.ExpiresIn, body.CodeLength = true, seconds(live.ExpiresIn), live.Length
		}
	} else if p.status == fiber.StatusServiceUnavailable {
		body.RetryAfter = secondsToWait(retryUnavailable)
	}
	if notReady, ok := errors.AsType[*notReadyError](err); ok {
		body.Checks = notReady.checks
	}
	if body.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(body.RetryAfter))
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Send(text)
}

// acceptsJSON reports whether the Accept header names a JSON type. */* names none: curl sends it without being asked.
func acceptsJSON(c *fiber.Ctx) bool {
	for part := range strings.SplitSeq(c.Get(fiber.HeaderAccept), ",") {
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil || !isJSON(mediaType) {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 { // a type without a valid q is accepted
			return true
		}
	}
	return false
}

func isJSON(mediaType string) bool {
	return strings.HasSuffix(mediaType, "/json") || strings.HasSuffix(mediaType, "+json")
}
