package redisstore

import (
	"context"
	"embed"
	"fmt"

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

func newScripts(c *Client) scripts {
	return scripts{
		open:   newScript(c, "open", decodeOpen),
		take:   newScript(c, "take", decodeTake),
		check:  newScript(c, "check", decodeCheck),
		close:  newScript(c, "close", decodeClose),
		claim:  newScript(c, "claim", decodeClaim).once(),
		renew:  newScript(c, "renew", decodeRenew),
		settle: newScript(c, "settle", decodeSettle),
		status: newScript(c, "status", decodeStatus),
		report: newScript(c, "report", decodeNothing),
		unlock: newScript(c, "unlock", decodeUnlock),
		forget: newScript(c, "forget", decodeNothing),
	}
}

// A script is one decision of the store: a file in lua, and the decoder of its reply.
type script[R any] struct {
	name   string
	calls  *batcher
	decode func(*reply) (R, error)
}

func newScript[R any](c *Client, name string, decode func(*reply) (R, error)) script[R] {
	text := "local function decide(KEYS, ARGV, now)\n" + lua(name) + "end\n"
	return script[R]{name, newBatcher(c, redis.NewScript(lua("prelude")+text+lua("batch"))), decode}
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
