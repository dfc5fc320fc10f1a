package api

import (
	"encoding/base64"
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

	"dekamond-otp/internal/e2e/servicetest"
)

func TestKeysCommand(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "keys")
	for _, algorithm := range []string{"EdDSA", "es256", "RS256"} {
		servicetest.NewKey(t, folder, algorithm)
	}
	if status, out, _ := servicetest.Run(t, dir, []string{"JWT_KEYS=keys"}, "keys", "new"); status != 0 || !strings.HasPrefix(out, "keys/") {
		t.Errorf("keys new: %d, %s", status, out)
	}
	for _, tc := range [][]string{{"keys"}, {"keys", "new", "HS256"}, {"keys", "newest"}, {"keys", "newES256"}, {"keys", "list"}, {"keys", "new", "ES256", "RS256"}} {
		if status, _, _ := servicetest.Run(t, dir, []string{"JWT_KEYS=keys"}, tc...); status != 2 {
			t.Errorf("%v: %d; want 2", tc, status)
		}
	}
	if status, _, log := servicetest.Run(t, dir, nil, "keys", "new"); status != 2 || !strings.Contains(log, "JWT_KEYS: ") {
		t.Errorf("keys new without a folder: %d, %s; want 2 and what is missing", status, log)
	}
	if status, out, log := servicetest.Run(t, dir, []string{"JWT_KEYS=-----BEGIN PRIVATE KEY-----\nhunter2"}, "keys", "new"); status != 2 || strings.Contains(out+log, "hunter2") {
		t.Errorf("keys new with a key for a folder: %d, %s, %s; want 2, and nothing of it", status, out, log)
	}
	if status, _, log := servicetest.Run(t, dir, []string{"JWT_KEYS=-----BEGIN PRIVATE KEY-----\nhunter2", "DATABASE_URL=postgres://127.0.0.1:1/x"}); status != 2 || strings.Contains(log, "hunter2") || !strings.Contains(log, "JWT_KEYS: ") {
		t.Errorf("a key for a folder: %d, %s; want 2 at once, and nothing of it", status, log)
	}
	empty := t.TempDir()
	if status, _, log := servicetest.Run(t, dir, []string{"JWT_KEYS=" + empty}); status != 2 || !strings.Contains(log, "JWT_KEYS: ") || !strings.Contains(log, "keys new") {
		t.Errorf("a folder without keys: %d, %s; want 2 and what to do", status, log)
	}
	if err := os.WriteFile(filepath.Join(empty, "bad.pem"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, log := servicetest.Run(t, dir, []string{"JWT_KEYS=" + empty}); status != 2 || !strings.Contains(log, "bad.pem") || strings.Contains(log, "hunter2") {
		t.Errorf("a faulty key: %d, %s; want 2 and the file's name", status, log)
	}
	s := servicetest.Launch(t, dir, "JWT_KEYS=keys")
	s.Await()
	if ids := s.PublishedKeys(); len(ids) != 4 {
		t.Errorf("published %v; want four", ids)
	}
	set := s.Call("GET", "/.well-known/jwks.json", "")
	if got := set.Header.Get("Cache-Control"); got != "public, max-age=300" || set.Header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(set.Body, `"d"`) {
		t.Errorf("key set: %v %s", set.Header, set.Body)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "jwt_secret")); err == nil {
		t.Error("a secret was made beside the keys")
	}
	servicetest.Start(t, nil).Want(servicetest.Start(t, nil).Call("GET", "/.well-known/jwks.json", ""), 404, "not_found")
}

// TestRollingRotation changes the keys of two copies while clients use both, and holds that no client sees it.
func TestRollingRotation(t *testing.T) {
	folder := t.TempDir()
	old, oldID := servicetest.NewKey(t, folder, "EdDSA")
	env := append([]string{"OTP_SECRET=" + servicetest.OTPSecret, "JWT_KEYS=" + folder, "JWT_KEY_GRACE=3s"}, append(servicetest.Unlimited, servicetest.RealStores(t)...)...)
	copies := []*servicetest.Service{servicetest.Start(t, env), servicetest.Start(t, env)}

	var failures sync.Map
	var calls atomic.Int64
	var signers [2]sync.Map // kids by copy
	var held sync.Map       // kid by client
	stop := make(chan struct{})
	var clients sync.WaitGroup
	fail := func(what string, a servicetest.Answer) { failures.Store(fmt.Sprint(what, a.Status, a.Body), true) }
	for i := range 8 {
		login := copies[i%2].Login(fmt.Sprintf("+98912123450%d", i))
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if a := copies[n%2].Call("GET", "/me", "", servicetest.Bearer(login)); a.Status != 200 {
					fail("/me", a)
				}
				if n%3 == 0 {
					a := copies[(n+i)%2].Refresh(login.Text("refresh_token"))
					if a.Status != 200 {
						fail("/token/refresh", a)
						return
					}
					login = a
					signers[(n+i)%2].Store(servicetest.SigningKey(a), true)
					held.Store(i, servicetest.SigningKey(a))
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
	servicetest.Eventually(t, "both copies sign with the first key", signs(oldID))
	dropped := time.Now()
	_, nextID := servicetest.NewKey(t, folder, "ES256")
	for _, s := range copies {
		servicetest.Eventually(t, "the new key is published", func() bool { return slices.Equal(s.PublishedKeys(), []string{nextID, oldID}) })
	}
	if signs(nextID)() {
		t.Error("the new key signs as soon as it is there")
	}
	servicetest.Eventually(t, "both copies sign with the new key", signs(nextID))
	if took := time.Since(dropped); took < 3*time.Second {
		t.Errorf("the new key signs after %v; want 3 s for it to get around", took)
	}
	servicetest.Eventually(t, "every client has refreshed, as it would within ACCESS_TTL", func() bool {
		all := true
		held.Range(func(_, kid any) bool { all = all && kid == nextID; return all })
		return all
	})
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	for _, s := range copies {
		s.Signal(syscall.SIGHUP)
		servicetest.Eventually(t, "the old key is gone", func() bool { return slices.Equal(s.PublishedKeys(), []string{nextID}) })
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	clients.Wait()
	failures.Range(func(what, _ any) bool { t.Errorf("during the rotation: %v", what); return true })
	if n := calls.Load(); n < 100 {
		t.Errorf("%d calls during the rotation; want many more", n)
	}
	copies[0].WantEvents("action=key_change", "key_change", "key_change", "key_change", "key_change") // start, new, its turn, end of the old
}

func TestSighupWithSecret(t *testing.T) {
	s := servicetest.Start(t, nil)
	s.Signal(syscall.SIGHUP)
	time.Sleep(100 * time.Millisecond)
	s.Want(s.Call("GET", "/healthz", ""), 200, "")
}

// TestForgedTokens holds that forged tokens are refused over HTTP, with keys and with a secret. Package token
// tries many more.
func TestForgedTokens(t *testing.T) {
	folder := t.TempDir()
	servicetest.NewKey(t, folder, "RS256")
	for _, env := range [][]string{{"JWT_KEYS=" + folder}, {"JWT_SECRET=" + servicetest.JWTSecret}} {
		s := servicetest.Start(t, nil, env...)
		good := s.Login(servicetest.Phone).Text("access_token")
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
			s.Want(s.Call("GET", "/me", "", "Authorization: Bearer "+token), 401, "invalid_token")
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("%s: refused after %v", name, took)
			}
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.Repeat(".", 1<<20)+"\r\n\r\n") // 431, and the connection ends
		c.Close()
		s.Want(s.Call("GET", "/me", "", "Authorization: Bearer "+good), 200, "")
		if strings.Contains(s.Log.String(), "panic") {
			t.Errorf("the log tells of a panic:\n%s", s.Log.String())
		}
	}
}
