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
	const setting = "JWT_KEYS=keys"
	status, out, _ := servicetest.Run(t, dir, []string{setting}, "keys", "new")
	if status != 0 || !strings.HasPrefix(out, "keys/") {
		t.Errorf("keys new: %d, %s", status, out)
	}
	for _, args := range [][]string{
		{"keys"},
		{"keys", "new", "HS256"},
		{"keys", "newest"},
		{"keys", "newES256"},
		{"keys", "list"},
		{"keys", "new", "ES256", "RS256"},
	} {
		if status, _, _ := servicetest.Run(t, dir, []string{setting}, args...); status != 2 {
			t.Errorf("%v: %d; want 2", args, status)
		}
	}
	status, _, log := servicetest.Run(t, dir, []string{"APP_ENV=production"}, "keys", "new")
	if status != 2 || !strings.Contains(log, `"variable":"JWT_KEYS"`) { // production logs JSON
		t.Errorf("keys new without a folder: %d, %s; want 2 and what is missing", status, log)
	}
	s := servicetest.Launch(t, dir, "JWT_KEYS=keys")
	s.Await()
	if ids := s.PublishedKeys(); len(ids) != 4 {
		t.Errorf("published %v; want four", ids)
	}
	set := s.Call("GET", "/.well-known/jwks.json", "")
	for name, want := range map[string]string{
		"Cache-Control": "public, max-age=300",
		"Content-Type":  "application/jwk-set+json",
	} {
		if got := set.Header.Get(name); got != want {
			t.Errorf("key set: %s %q; want %q", name, got, want)
		}
	}
	if strings.Contains(set.Body, `"d"`) {
		t.Errorf("the key set has a private key: %s", set.Body)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "keys")); err == nil {
		t.Error("a key was made beside the keys of JWT_KEYS")
	}
	s = servicetest.Start(t, nil, "JWT_SECRET="+servicetest.JWTSecret)
	s.Want(s.Call("GET", "/.well-known/jwks.json", ""), 404, "not_found")
}

// TestKeyOfDevelopment checks that development makes a signing key once, whichever of two copies starts first, that it
// publishes the key, and signs with it after a restart too.
func TestKeyOfDevelopment(t *testing.T) {
	dir := t.TempDir()
	a := servicetest.Launch(t, dir, "DATABASE_URL=sqlite:a.db")
	b := servicetest.Launch(t, dir, "DATABASE_URL=sqlite:b.db")
	a.Await()
	b.Await()
	ids := a.PublishedKeys()
	if len(ids) != 1 || !slices.Equal(b.PublishedKeys(), ids) {
		t.Errorf("two copies publish %v and %v; want the same key", ids, b.PublishedKeys())
	}
	login := a.Login(phone)
	if got := servicetest.SigningKey(login); got != ids[0] {
		t.Errorf("the key %s signs; want the published one", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "data/keys/*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the folder has the keys %v, %v; want one", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has the mode %v, %v; want 0600", info.Mode(), err)
	}
	a.End(syscall.SIGTERM)
	a = servicetest.Launch(t, dir, "DATABASE_URL=sqlite:a.db")
	a.Await()
	a.Want(a.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
	if status, out, log := servicetest.Run(t, dir, nil, "keys", "new"); status != 0 || len(a.PublishedKeys()) == 0 {
		t.Errorf("keys new in development: %d, %s%s; want a key in its folder", status, out, log)
	}
	servicetest.Eventually(t, "the copies publish the new key", func() bool { return len(b.PublishedKeys()) == 2 })
}

// TestFaultyKeys checks that the service does not start with faulty keys, names the fault, and shows nothing of them.
func TestFaultyKeys(t *testing.T) {
	dir, empty, faulty := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(faulty, "bad.pem"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const keyForFolder = "JWT_KEYS=-----BEGIN PRIVATE KEY-----\nhunter2"
	for name, tc := range map[string]struct {
		env   []string
		args  []string
		wants []string
	}{
		"keys new with a key in place of a folder": {[]string{keyForFolder}, []string{"keys", "new"}, nil},
		"a key in place of a folder": {
			[]string{keyForFolder, "DATABASE_URL=postgres://127.0.0.1:1/x"}, nil, []string{"JWT_KEYS: "},
		},
		"a folder without keys": {[]string{"JWT_KEYS=" + empty}, nil, []string{"JWT_KEYS: ", "keys new"}},
		"a faulty key":          {[]string{"JWT_KEYS=" + faulty}, nil, []string{"bad.pem"}},
	} {
		status, out, log := servicetest.Run(t, dir, tc.env, tc.args...)
		if status != 2 || strings.Contains(out+log, "hunter2") {
			t.Errorf("%s: %d, %s, %s; want 2, and nothing of the key", name, status, out, log)
		}
		for _, want := range tc.wants {
			if !strings.Contains(log, want) {
				t.Errorf("%s: %s; want %q in it", name, log, want)
			}
		}
	}
}

// clients use two copies all the time: they read their user and refresh their tokens on either copy.
type clients struct {
	copies   []*servicetest.Service
	calls    atomic.Int64
	failures sync.Map    // the faults of answers
	signed   [2]sync.Map // when each copy first signed with a key, by the key's identifier
	held     sync.Map    // which key signed the token that a client has, by the client's number
	stop     chan struct{}
	running  sync.WaitGroup
}

// startClients logs in eight clients and lets them work until end is called.
func startClients(copies []*servicetest.Service) *clients {
	c := &clients{copies: copies, stop: make(chan struct{})}
	for i := range 8 {
		login := copies[i%2].Login(fmt.Sprintf("+98912123450%d", i))
		c.running.Go(func() { c.work(i, login) })
	}
	return c
}

func (c *clients) work(i int, login servicetest.Answer) {
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		default:
		}
		if a := c.copies[n%2].Call("GET", "/me", "", servicetest.Bearer(login)); a.Status != 200 {
			c.failures.Store(fmt.Sprint("/me ", a.Status, a.Body), true)
		}
		if n%3 == 0 {
			by := (n + i) % 2
			a := c.copies[by].Refresh(login.Text("refresh_token"))
			if a.Status != 200 {
				c.failures.Store(fmt.Sprint("/token/refresh ", a.Status, a.Body), true)
				return
			}
			login = a
			c.signed[by].LoadOrStore(servicetest.SigningKey(a), time.Now())
			c.held.Store(i, servicetest.SigningKey(a))
		}
		c.calls.Add(1)
	}
}

// bothSign reports whether both copies have signed with a key.
func (c *clients) bothSign(id string) bool {
	_, a := c.signed[0].Load(id)
	_, b := c.signed[1].Load(id)
	return a && b
}

// allHold reports whether the tokens of all clients are signed with a key.
func (c *clients) allHold(id string) bool {
	all := true
	c.held.Range(func(_, kid any) bool { all = all && kid == id; return all })
	return all
}

// end stops the clients and reports their failures.
func (c *clients) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.running.Wait()
	c.failures.Range(func(what, _ any) bool { t.Errorf("a client was answered %v", what); return true })
}

// TestRollingRotation changes the keys of two copies while clients use both, and checks that no client notices.
func TestRollingRotation(t *testing.T) {
	const grace = 3 * time.Second
	folder := t.TempDir()
	old, oldID := servicetest.NewKey(t, folder, "EdDSA")
	stores := append(servicetest.RealStores(t),
		"OTP_SECRET="+servicetest.OTPSecret, "JWT_KEYS="+folder, "JWT_KEY_GRACE="+grace.String())
	copies := []*servicetest.Service{
		servicetest.Start(t, stores, servicetest.Unlimited...),
		servicetest.Start(t, stores, servicetest.Unlimited...),
	}
	c := startClients(copies)
	servicetest.Eventually(t, "both copies sign with the first key", func() bool { return c.bothSign(oldID) })

	added := time.Now()
	_, nextID := servicetest.NewKey(t, folder, "ES256")
	for _, s := range copies {
		servicetest.Eventually(t, "the new key is published", func() bool {
			return slices.Equal(s.PublishedKeys(), []string{nextID, oldID})
		})
	}
	servicetest.Eventually(t, "both copies sign with the new key", func() bool { return c.bothSign(nextID) })
	for i := range copies {
		first, _ := c.signed[i].Load(nextID)
		if after := first.(time.Time).Sub(added); after < grace {
			t.Errorf("copy %d signed with the new key after %v; want %v for clients to fetch it", i, after, grace)
		}
	}
	servicetest.Eventually(t, "every client has refreshed its tokens", func() bool { return c.allHold(nextID) })

	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	for _, s := range copies {
		s.Signal(syscall.SIGHUP)
		servicetest.Eventually(t, "the old key is no longer published", func() bool {
			return slices.Equal(s.PublishedKeys(), []string{nextID})
		})
	}
	enough := c.calls.Load() + 100
	servicetest.Eventually(t, "the clients make a hundred calls more", func() bool { return c.calls.Load() >= enough })
	c.end(t)
	// The events are the start, the new key, its first use and the end of the old key.
	copies[0].WantEvents("action=key_change", "key_change", "key_change", "key_change", "key_change")
}

func TestSighupWithSecret(t *testing.T) {
	s := servicetest.Start(t, nil)
	s.Signal(syscall.SIGHUP)
	time.Sleep(100 * time.Millisecond)
	s.Want(s.Call("GET", "/healthz", ""), 200, "")
}

// TestForgedTokens checks that forged tokens are refused over HTTP, with keys and with a secret. Package token tries
// many more.
func TestForgedTokens(t *testing.T) {
	folder := t.TempDir()
	servicetest.NewKey(t, folder, "RS256")
	for _, key := range []string{"JWT_KEYS=" + folder, "JWT_SECRET=" + servicetest.JWTSecret} {
		s := servicetest.Start(t, nil, key)
		login := s.Login(phone)
		parts := strings.Split(login.Text("access_token"), ".")
		b64 := base64.RawURLEncoding.EncodeToString
		foreign := b64([]byte(`{"alg":"RS256","kid":"x","jku":"http://127.0.0.1:9/jwks.json"}`))
		for name, token := range map[string]string{
			"alg none":          b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
			"no signature":      parts[0] + "." + parts[1] + ".",
			"another signature": parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)),
			"foreign kid":       foreign + "." + parts[1] + "." + parts[2],
			"dots":              strings.Repeat(".", 3000),
			"braces":            b64([]byte(strings.Repeat("{", 1000))) + "." + parts[1] + "." + parts[2],
		} {
			refusedQuickly(t, s, name, token)
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		// The answer is a 431 and the end of the connection.
		header := "Authorization: Bearer " + strings.Repeat(".", 1<<20)
		_, _ = io.WriteString(c, "GET /me HTTP/1.1\r\nHost: x\r\n"+header+"\r\n\r\n")
		c.Close()
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
		if strings.Contains(s.Log.String(), "panic") {
			t.Errorf("the log reports a panic:\n%s", s.Log.String())
		}
	}
}

// refusedQuickly checks that a forged token is refused, and that it costs the service next to nothing: on a busy
// machine some calls may take long, but not all of them.
func refusedQuickly(t *testing.T, s *servicetest.Service, name, token string) {
	t.Helper()
	const atMost = 500 * time.Millisecond
	var took time.Duration
	for range 100 {
		began := time.Now()
		s.Want(s.Call("GET", "/me", "", "Authorization: Bearer "+token), 401, "invalid_token")
		if took = time.Since(began); took <= atMost {
			return
		}
	}
	t.Errorf("%s: always refused after more than %v, at last after %v", name, atMost, took)
}
