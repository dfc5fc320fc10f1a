package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// newKey makes a key with the command and gives its file and identifier.
func newKey(t *testing.T, folder, algorithm string) (path, id string) {
	t.Helper()
	status, out, log := run(t, t.TempDir(), []string{"JWT_KEYS=" + folder}, "keys", "new", algorithm)
	lines := strings.Split(out, "\n")
	if status != 0 || len(lines) != 3 {
		t.Fatalf("keys new %s: %d, %s, %s", algorithm, status, out, log)
	}
	return lines[0], strings.TrimPrefix(lines[1], "kid ")
}

func (s *service) published() (ids []string) {
	s.t.Helper()
	set := s.want(s.call("GET", "/.well-known/jwks.json", ""), 200, "")
	for _, k := range set.field("keys").([]any) {
		ids = append(ids, k.(map[string]any)["kid"].(string))
	}
	return ids
}

// signedBy is the kid of an answer's access token.
func signedBy(a answer) string {
	text, _ := base64.RawURLEncoding.DecodeString(strings.Split(a.text("access_token"), ".")[0])
	var header struct{ Kid string }
	_ = json.Unmarshal(text, &header)
	return header.Kid
}

func TestKeysCommand(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "keys")
	for _, algorithm := range []string{"EdDSA", "es256", "RS256"} {
		newKey(t, folder, algorithm)
	}
	if status, out, _ := run(t, dir, []string{"JWT_KEYS=keys"}, "keys", "new"); status != 0 || !strings.HasPrefix(out, "keys/") {
		t.Errorf("keys new: %d, %s", status, out)
	}
	for _, tc := range [][]string{{"keys"}, {"keys", "new", "HS256"}, {"keys", "newest"}, {"keys", "newES256"}, {"keys", "list"}, {"keys", "new", "ES256", "RS256"}} {
		if status, _, _ := run(t, dir, []string{"JWT_KEYS=keys"}, tc...); status != 2 {
			t.Errorf("%v: %d; want 2", tc, status)
		}
	}
	if status, _, log := run(t, dir, nil, "keys", "new"); status != 2 || !strings.Contains(log, "JWT_KEYS: ") {
		t.Errorf("keys new without a folder: %d, %s; want 2 and what is missing", status, log)
	}
	if status, out, log := run(t, dir, []string{"JWT_KEYS=-----BEGIN PRIVATE KEY-----\nhunter2"}, "keys", "new"); status != 2 || strings.Contains(out+log, "hunter2") {
		t.Errorf("keys new with a key for a folder: %d, %s, %s; want 2, and nothing of it", status, out, log)
	}
	if status, _, log := run(t, dir, []string{"JWT_KEYS=-----BEGIN PRIVATE KEY-----\nhunter2", "DATABASE_URL=postgres://127.0.0.1:1/x"}); status != 2 || strings.Contains(log, "hunter2") || !strings.Contains(log, "JWT_KEYS: ") {
		t.Errorf("a key for a folder: %d, %s; want 2 at once, and nothing of it", status, log)
	}
	empty := t.TempDir()
	if status, _, log := run(t, dir, []string{"JWT_KEYS=" + empty}); status != 2 || !strings.Contains(log, "JWT_KEYS: ") || !strings.Contains(log, "keys new") {
		t.Errorf("a folder without keys: %d, %s; want 2 and what to do", status, log)
	}
	if err := os.WriteFile(filepath.Join(empty, "bad.pem"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, log := run(t, dir, []string{"JWT_KEYS=" + empty}); status != 2 || !strings.Contains(log, "bad.pem") || strings.Contains(log, "hunter2") {
		t.Errorf("a faulty key: %d, %s; want 2 and the file's name", status, log)
	}
	s := launch(t, dir, "JWT_KEYS=keys")
	s.await()
	if ids := s.published(); len(ids) != 4 {
		t.Errorf("published %v; want four", ids)
	}
	set := s.call("GET", "/.well-known/jwks.json", "")
	if got := set.header.Get("Cache-Control"); got != "public, max-age=300" || set.header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(set.body, `"d"`) {
		t.Errorf("key set: %v %s", set.header, set.body)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "jwt_secret")); err == nil {
		t.Error("a secret was made beside the keys")
	}
	start(t, nil).want(start(t, nil).call("GET", "/.well-known/jwks.json", ""), 404, "not_found")
}

// TestRollingRotation changes the keys of two copies while clients use both, and holds that no client sees it.
func TestRollingRotation(t *testing.T) {
	folder := t.TempDir()
	old, oldID := newKey(t, folder, "EdDSA")
	env := append([]string{"OTP_SECRET=" + otpSecret, "JWT_KEYS=" + folder, "JWT_KEY_GRACE=3s"}, append(patient, real(t)...)...)
	copies := []*service{start(t, env), start(t, env)}

	var failures sync.Map
	var calls atomic.Int64
	var signers [2]sync.Map // kids by copy
	var held sync.Map       // kid by client
	stop := make(chan struct{})
	var clients sync.WaitGroup
	fail := func(what string, a answer) { failures.Store(fmt.Sprint(what, a.status, a.body), true) }
	for i := range 8 {
		login := copies[i%2].login(fmt.Sprintf("+98912123450%d", i))
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if a := copies[n%2].call("GET", "/me", "", bearer(login)); a.status != 200 {
					fail("/me", a)
				}
				if n%3 == 0 {
					a := copies[(n+i)%2].refresh(login.text("refresh_token"))
					if a.status != 200 {
						fail("/token/refresh", a)
						return
					}
					login = a
					signers[(n+i)%2].Store(signedBy(a), true)
					held.Store(i, signedBy(a))
				}
				calls.Add(1)
			}
		})
	}
	signs := func(id string) func() bool {
		return func() bool {
			_, a := signers[0].Load(id)
			_, b := signers[1].Load(id)
			return a && b
		}
	}
	eventually(t, "both copies sign with the first key", signs(oldID))
	dropped := time.Now()
	_, nextID := newKey(t, folder, "ES256")
	for _, s := range copies {
		eventually(t, "the new key is published", func() bool { return slices.Equal(s.published(), []string{nextID, oldID}) })
	}
	if signs(nextID)() {
		t.Error("the new key signs as soon as it is there")
	}
	eventually(t, "both copies sign with the new key", signs(nextID))
	if took := time.Since(dropped); took < 3*time.Second {
		t.Errorf("the new key signs after %v; want 3 s for it to get around", took)
	}
	eventually(t, "every client has refreshed, as it would within ACCESS_TTL", func() bool {
		all := true
		held.Range(func(_, kid any) bool { all = all && kid == nextID; return all })
		return all
	})
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	for _, s := range copies {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the old key is gone", func() bool { return slices.Equal(s.published(), []string{nextID}) })
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	clients.Wait()
	failures.Range(func(what, _ any) bool { t.Errorf("during the rotation: %v", what); return true })
	if n := calls.Load(); n < 100 {
		t.Errorf("%d calls during the rotation; want many more", n)
	}
	copies[0].happened("action=key_change", "key_change", "key_change", "key_change", "key_change") // start, new, its turn, end of the old
}

func TestSighupWithSecret(t *testing.T) {
	s := start(t, nil)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	s.want(s.call("GET", "/healthz", ""), 200, "")
}

// TestForgedTokens holds that forged tokens are refused over HTTP, with keys and with a secret. Package token
// tries many more.
func TestForgedTokens(t *testing.T) {
	folder := t.TempDir()
	newKey(t, folder, "RS256")
	for _, env := range [][]string{{"JWT_KEYS=" + folder}, {"JWT_SECRET=" + jwtSecret}} {
		s := start(t, nil, env...)
		good := s.login(phone).text("access_token")
		parts := strings.Split(good, ".")
		b64 := base64.RawURLEncoding.EncodeToString
		for name, token := range map[string]string{
			"alg none":          b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
			"no signature":      parts[0] + "." + parts[1] + ".",
			"another signature": parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)),
			"foreign kid":       b64([]byte(`{"alg":"RS256","kid":"x","jku":"http://127.0.0.1:9/jwks.json"}`)) + "." + parts[1] + "." + parts[2],
			"dots":              strings.Repeat(".", 3000),
			"braces":            b64([]byte(strings.Repeat("{", 1000))) + "." + parts[1] + "." + parts[2],
		} {
			began := time.Now()
			s.want(s.call("GET", "/me", "", "Authorization: Bearer "+token), 401, "invalid_token")
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("%s: refused after %v", name, took)
			}
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.Repeat(".", 1<<20)+"\r\n\r\n") // 431, and the connection ends
		c.Close()
		s.want(s.call("GET", "/me", "", "Authorization: Bearer "+good), 200, "")
		if strings.Contains(s.log.String(), "panic") {
			t.Errorf("the log tells of a panic:\n%s", s.log.String())
		}
	}
}
