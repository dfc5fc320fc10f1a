package redisstore

import (
	"context"
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// scripts are the scripts of one connection. The type of each is that of its decoded reply.
type scripts struct {
	open   script[opened]
	take   script[taken]
	check  script[matched]
	close  script[bool]
	claim  script[[]otp.Lease]
	renew  script[nothing]
	settle script[nothing]
	status script[otp.Status]
	report script[nothing]
	unlock script[otp.Unlocked]
	forget script[nothing]
}

func newScripts(c *Client, p otp.Policy) scripts {
	return scripts{
		open:   newScript(c, p, "open", decodeOpen),
		take:   newScript(c, p, "take", decodeTake),
		check:  newScript(c, p, "check", decodeCheck),
		close:  newScript(c, p, "close", decodeClose),
		claim:  newScript(c, p, "claim", decodeClaim).once(),
		renew:  newScript(c, p, "renew", decodeRenew),
		settle: newScript(c, p, "settle", decodeSettle),
		status: newScript(c, p, "status", decodeStatus),
		report: newScript(c, p, "report", decodeNothing),
		unlock: newScript(c, p, "unlock", decodeUnlock),
		forget: newScript(c, p, "forget", decodeNothing),
	}
}

// A script is one decision of the store: a file in lua, and the decoder of its reply.
type script[R any] struct {
	name   string
	calls  *batcher
	decode func(*reply) (R, error)
}

// newScript returns a script for a policy.
func newScript[R any](c *Client, p otp.Policy, name string, decode func(*reply) (R, error)) script[R] {
	text := lua("prelude") + "local function decide(KEYS, ARGV, now)\n" + lua(name) + "end\n" + lua("batch")
	return script[R]{name, newBatcher(c, redis.NewScript(withPolicy(text, p))), decode}
}

var ofPolicy = regexp.MustCompile(`\bpolicy\.(\w+)`)

// withPolicy writes the numbers of a policy into the text of a script, in the places of their names. Times are in
// microseconds.
func withPolicy(text string, p otp.Policy) string {
	usualGuesses, _ := p.DailyGuesses()
	numbers := map[string]int64{
		"length":        int64(p.Length),
		"long_length":   int64(p.LongLength()),
		"code_life":     us(p.TTL),
		"whole_life":    us(otp.MaxLife),
		"least_life":    us(p.LeastLife()),
		"outbox_life":   us(outboxLife(p)),
		"max_attempts":  int64(p.MaxAttempts),
		"usual_guesses": int64(usualGuesses),
		"resend_after":  us(p.ResendAfter),
		"send_max":      int64(p.PerPhone.Max),
		"send_window":   us(p.PerPhone.Window),
		"devices_max":   int64(p.PerPhone.Max * otp.DevicesFactor),
		"day":           us(day),
		"keep_row":      us(otp.KeepAttempts),
	}
	return ofPolicy.ReplaceAllStringFunc(text, func(name string) string {
		if name == "policy.NAME" { // in the comment that explains it
			return name
		}
		n, ok := numbers[strings.TrimPrefix(name, "policy.")]
		if !ok { // only for a name that is not there
			panic("redisstore: " + name)
		}
		return strconv.FormatInt(n, 10)
	})
}

// once returns the script without further attempts: the courier calls it again every second, and one partition that
// fails must not keep it from the others.
func (s script[R]) once() script[R] {
	s.calls.once = true
	return s
}

func lua(name string) string {
	text, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil { // only for a file that is not there
		panic(err)
	}
	return string(text)
}

// run calls the script and decodes its reply. If there is no reply, or an unexpected one, the error wraps
// otp.ErrUnavailable. Other errors are those of the decoder.
func (s script[R]) run(ctx context.Context, keys []string, args ...any) (result R, err error) {
	if err := ctx.Err(); err != nil {
		return result, unavailable(err)
	}
	value, err := s.calls.do(ctx, keys, args)
	if err != nil {
		return result, unavailable(err)
	}
	return s.read(value)
}

func (s script[R]) read(value any) (R, error) {
	r := newReply(value)
	result, err := s.decode(r)
	if malformed := r.end(); malformed != nil {
		var none R
		return none, unavailable(fmt.Errorf("script %s: %w", s.name, malformed))
	}
	return result, err
}

func unavailable(err error) error { return fmt.Errorf("%w: redis: %w", otp.ErrUnavailable, err) }
