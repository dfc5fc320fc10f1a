package token

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

func makeKey(t testing.TB, folder, algorithm string) (path, id string) {
	t.Helper()
	path, id, err := NewKey(folder, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return path, id
}

func kid(t *testing.T, token string) string {
	t.Helper()
	var header struct{ Kid string }
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

// TestPublishedKeys checks the published keys, and tokens by them, with another implementation of JWS.
func TestPublishedKeys(t *testing.T) {
	for _, algorithm := range Algorithms {
		folder := filepath.Join(t.TempDir(), "new", "folder")
		path, id := makeKey(t, folder, algorithm)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(path, id[:8]) {
			t.Errorf("%s: %s, %v, %v; want a private file, named after its key", algorithm, path, info, err)
		}
		i := newIssuer(t, func(o *Options) { o.Folder, o.Secret = folder, nil })
		text, maxAge, ok := i.Published()
		if !ok || maxAge != 5*time.Minute {
			t.Errorf("%s: published %t, for %v; want half the grace", algorithm, ok, maxAge)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("%s: %s, %v; want one key", algorithm, text, err)
		}
		k := set.Keys[0]
		thumbprint, err := k.Thumbprint(5) // crypto.SHA256
		if err != nil || !k.Valid() || !k.IsPublic() || k.Algorithm != algorithm || k.Use != "sig" ||
			k.KeyID != base64.RawURLEncoding.EncodeToString(thumbprint) || k.KeyID != id {
			t.Errorf("%s: %s; want a valid public key with its thumbprint for kid", algorithm, text)
		}
		checkPublic(t, text)
		token := sign(t, i)
		parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := parsed.Verify(k)
		if err != nil || !bytes.Contains(payload, []byte(user.String())) || kid(t, token) != id {
			t.Errorf("%s: %s, %v; want a token that the published key verifies", algorithm, payload, err)
		}
		if _, _, err := i.Verify(token); err != nil {
			t.Errorf("%s: Verify: %v", algorithm, err)
		}
	}
	if _, _, ok := newIssuer(t, nil).Published(); ok {
		t.Error("a secret is published")
	}
}

// checkPublic checks that a set of one key has no private member.
func checkPublic(t *testing.T, set []byte) {
	t.Helper()
	var members struct{ Keys []map[string]any }
	if err := json.Unmarshal(set, &members); err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := members.Keys[0][private]; ok {
			t.Errorf("the key %s shows its private part %s", set, private)
		}
	}
}

// TestKeys checks the description of the keys, the newest first, and which one signs.
func TestKeys(t *testing.T) {
	folder := t.TempDir()
	old, oldID := makeKey(t, folder, "ES256")
	renamed := filepath.Join(folder, "20260101T000000.000Z-old.pem")
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := errors.Join(os.Rename(old, renamed), os.Chtimes(renamed, time.Time{}, made)); err != nil {
		t.Fatal(err)
	}
	path, id := makeKey(t, folder, "EdDSA")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	got := newIssuer(t, func(o *Options) { o.Folder, o.Secret = folder, nil }).Keys()
	if len(got) != 2 || time.Since(got[0].Made) > time.Minute {
		t.Fatalf("Keys: %+v; want two, the first one new", got)
	}
	want := []Key{
		{ID: id, Algorithm: "EdDSA", Made: got[0].Made, WorldReadable: true},
		{ID: oldID, Algorithm: "ES256", Made: made, Signs: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Keys: %+v; want %+v", got, want)
	}
}

// TestSameGrantSameToken checks the promise of account.Signer: the same inputs always make the same token.
func TestSameGrantSameToken(t *testing.T) {
	id, at := uuid.Must(uuid.NewV7()), time.Now()
	for _, algorithm := range append([]string{"HS256"}, Algorithms...) {
		folder := ""
		if algorithm != "HS256" {
			folder = t.TempDir()
			makeKey(t, folder, algorithm)
		}
		i := newIssuer(t, func(o *Options) { o.Folder = folder })
		a, _, err := i.Sign(user, phone.Number{}, session, id, at)
		b, _, _ := i.Sign(user, phone.Number{}, session, id, at)
		c, _, _ := i.Sign(user, phone.Number{}, session, uuid.Must(uuid.NewV7()), at)
		if a != b || a == c || err != nil {
			t.Errorf("%s: %s, %s, %s, %v; want the first two equal, and not the third", algorithm, a, b, c, err)
		}
		if gotUser, gotSession, err := i.Verify(a); gotUser != user || gotSession != session || err != nil {
			t.Errorf("%s: Verify: %v, %v, %v; want %v, %v", algorithm, gotUser, gotSession, err, user, session)
		}
	}
}

func TestKeyForms(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	large, _ := rsa.GenerateKey(rand.Reader, 2048)
	exchange, _ := ecdh.X25519().GenerateKey(rand.Reader)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	sec1 := func(k *ecdsa.PrivateKey) []byte { der, _ := x509.MarshalECPrivateKey(k); return der }
	pkcs8 := func(k any) []byte { der, _ := x509.MarshalPKCS8PrivateKey(k); return der }
	public, _ := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	parameters := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"PKCS #8":                   {block("PRIVATE KEY", pkcs8(p256)), true},
		"SEC 1":                     {block("EC PRIVATE KEY", sec1(p256)), true},
		"SEC 1 behind parameters":   {parameters + block("EC PRIVATE KEY", sec1(p256)), true},
		"PKCS #1":                   {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(large)), true},
		"with words around":         {"Made on a Tuesday.\n" + block("PRIVATE KEY", pkcs8(large)) + "\n# end\n", true},
		"RSA of 1024 bits":          {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), false},
		"P-384":                     {block("PRIVATE KEY", pkcs8(p384)), false},
		"for key exchange":          {block("PRIVATE KEY", pkcs8(exchange)), false},
		"public":                    {block("PUBLIC KEY", public), false},
		"encrypted":                 {block("ENCRYPTED PRIVATE KEY", pkcs8(p256)[:40]), false},
		"cut off":                   {block("PRIVATE KEY", pkcs8(p256))[:100], false},
		"DER":                       {string(pkcs8(p256)), false},
		"empty":                     {"", false},
		"a block of something else": {block("PRIVATE KEY", []byte("hunter2")), false},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "key.pem"), []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := NewIssuer(Options{Folder: folder, Issuer: "issuer", Audience: "audience", TTL: 15 * time.Minute})
		if (err == nil) != tc.ok {
			t.Errorf("a key %s: %v; want it accepted: %t", name, err, tc.ok)
		}
		if err == nil {
			if _, _, err := i.Verify(sign(t, i)); err != nil {
				t.Errorf("a key %s: %v", name, err)
			}
		} else if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "key.pem") {
			t.Errorf("a key %s: %v; want the file's name and nothing of its content", name, err)
		}
	}
	empty := t.TempDir()
	for _, folder := range []string{empty, filepath.Join(empty, "none")} {
		if _, err := NewIssuer(Options{Folder: folder}); err == nil {
			t.Errorf("NewIssuer accepted the folder %s, which holds no key", folder)
		}
	}
	if _, _, err := NewKey(empty, "HS256"); err == nil {
		t.Error("NewKey made a key of HS256")
	}
}

// A watched issuer keeps what it reports and logs.
type watched struct {
	*Issuer
	reread   chan os.Signal
	mu       sync.Mutex
	reported []string // the reported states
	fails    int      // how many more reports fail
	lines    strings.Builder
}

func (w *watched) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines.Write(line)
}

func (w *watched) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines.String()
}

func watch(t *testing.T, folder string) *watched {
	w := &watched{reread: make(chan os.Signal)}
	w.Issuer = newIssuer(t, func(o *Options) {
		o.Folder, o.Secret, o.Log = folder, nil, slog.New(slog.NewTextHandler(w, nil))
	})
	go w.Watch(t.Context(), w.reread, func(_ context.Context, signing string, published []string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fails > 0 {
			w.fails--
			return errors.New("down")
		}
		w.reported = append(w.reported, fmt.Sprint(signing, published))
		return nil
	})
	synctest.Wait()
	return w
}

func (w *watched) want(t *testing.T, signing string, published ...string) {
	t.Helper()
	if got := kid(t, sign(t, w.Issuer)); got != signing {
		t.Errorf("signed by %s; want %s", got, signing)
	}
	var set struct{ Keys []struct{ Kid string } }
	text, _, _ := w.Published()
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range set.Keys {
		got = append(got, k.Kid)
	}
	if !slices.Equal(got, published) {
		t.Errorf("published %v; want %v, the newest first", got, published)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.reported[len(w.reported)-1]; last != fmt.Sprint(signing, published) {
		t.Errorf("reported %s; want %s %v", last, signing, published)
	}
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		pathA, a := makeKey(t, folder, "EdDSA")
		w := watch(t, folder)
		w.want(t, a, a) // the only key signs at once
		time.Sleep(time.Hour)

		w.mu.Lock()
		w.fails = 2
		w.mu.Unlock()
		_, b := makeKey(t, folder, "ES256")
		time.Sleep(3500 * time.Millisecond)
		w.want(t, a, b, a) // a new key is published before it signs
		time.Sleep(10*time.Minute - 5*time.Second)
		w.want(t, a, b, a)
		time.Sleep(5 * time.Second)
		w.want(t, b, b, a)
		// The time of issue is before the turn of b.
		byA, _, _ := w.Sign(user, phone.Number{}, session, uuid.Must(uuid.NewV7()), time.Now().Add(-time.Minute))
		if _, _, err := w.Verify(byA); kid(t, byA) != a || err != nil {
			t.Errorf("a token by %s: %v; want one by %s, which is still valid", kid(t, byA), err, a)
		}
		if err := os.Remove(pathA); err != nil {
			t.Fatal(err)
		}
		w.reread <- syscall.SIGHUP
		synctest.Wait()
		w.want(t, b, b)
		if _, _, err := w.Verify(byA); !errors.Is(err, ErrInvalid) {
			t.Errorf("a token by a key that is gone: %v; want ErrInvalid", err)
		}
		if len(w.reported) != 4 {
			t.Errorf("reported %v; want the start, the new key, its turn, the end of the old one", w.reported)
		}
	})
}

// TestFaultyFolder checks that a faulty file affects no other file, and that a key is always left.
// TestEnsureKey checks that simultaneous starts make one key, and that a folder with a key is left alone.
func TestEnsureKey(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "keys")
	if has, err := HasKey(folder); has || err != nil {
		t.Errorf("HasKey without a folder: %t, %v; want false", has, err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := EnsureKey(folder, "ES256"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := newIssuer(t, func(o *Options) { o.Secret, o.Folder = nil, folder }).Keys()
	if len(made) != 1 || made[0].Algorithm != "ES256" || !made[0].Signs || made[0].WorldReadable {
		t.Errorf("the keys are %+v; want one of ES256 that signs at once and that others cannot read", made)
	}
	other := t.TempDir()
	makeKey(t, other, "EdDSA")
	if err := EnsureKey(other, "ES256"); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(other); len(files) != 1 || err != nil {
		t.Errorf("a folder with a key holds %v, %v; want nothing added", files, err)
	}
}

func TestFaultyFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		write := func(name, text string) string {
			t.Helper()
			path := filepath.Join(folder, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		remove := func(path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		pathA, a := makeKey(t, folder, "EdDSA")
		w := watch(t, folder)
		half := write("half.pem", "-----BEGIN PRIVATE KEY-----\nMC4")
		write("large.pem", strings.Repeat("x", maxFile+1))
		write("notes.txt", "no key")
		write(".hidden.pem", "no key")
		if err := os.Mkdir(filepath.Join(folder, "folder.pem"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(folder, "fifo.pem"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		pathB, b := makeKey(t, folder, "EdDSA")
		time.Sleep(2500 * time.Millisecond)
		w.want(t, a, b, a)
		time.Sleep(10 * time.Minute)
		w.want(t, b, b, a)
		text, err := os.ReadFile(pathB)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Base(pathB), string(text[:50])) // a known key is kept while its file is rewritten
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b, a)
		remove(pathA) // as after a theft: it goes although another file is faulty
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b)
		write(filepath.Base(pathB), string(text))
		write("copy.pem", string(text)) // the same key again
		remove(half)
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b)

		moved := folder + ".away"
		if err := os.Rename(folder, moved); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		if err := os.Mkdir(folder, 0o700); err != nil { // empty
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b)
		if len(w.reported) != 4 {
			t.Errorf("reported %v; want the start, the new key, its turn, the end of the old one", w.reported)
		}
	})
}

// TestRepairedFile checks that a file that was faulty is read again, although its size and time are the same, and
// that a fault that comes back is logged again.
func TestRepairedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, elsewhere := t.TempDir(), t.TempDir()
		_, a := makeKey(t, folder, "EdDSA")
		time.Sleep(10 * time.Millisecond)
		source, b := makeKey(t, elsewhere, "EdDSA")
		good, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, filepath.Base(source))
		at := time.Now()
		write := func(text []byte) {
			t.Helper()
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2500 * time.Millisecond)
		}
		w := watch(t, folder)
		bad := bytes.Repeat([]byte("x"), len(good))
		write(bad)
		w.want(t, a, a)
		write(good)
		w.want(t, a, b, a)
		at = at.Add(time.Second)
		write(bad)
		w.want(t, a, b, a)
		if got := strings.Count(w.log(), "signing keys not read"); got != 2 {
			t.Errorf("%d faults are logged; want 2:\n%s", got, w.log())
		}
		// Signing goes on while the folder is read.
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				sign(t, w.Issuer)
				time.Sleep(50 * time.Millisecond)
			}
		}()
		<-done
	})
}

// TestTouch checks that a key is as new as its file is now, both for a copy that runs and for one that starts.
func TestTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		write := func(name string, age time.Duration) (id string) {
			t.Helper()
			source, id := makeKey(t, t.TempDir(), "EdDSA")
			path := filepath.Join(folder, name)
			if err := os.Rename(source, path); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
			return id
		}
		a := write("a.pem", time.Hour)
		w := watch(t, folder)
		b := write("b.pem", 2*time.Hour)
		time.Sleep(time.Hour)
		w.want(t, a, a, b)
		now := time.Now()
		if err := os.Chtimes(filepath.Join(folder, "b.pem"), now, now); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b, a) // its grace period is over
		time.Sleep(10 * time.Minute)
		watch(t, folder).want(t, b, b, a)
	})
}

// TestSameSizeAndTime checks that SIGHUP makes the issuer read files that seem unchanged.
func TestSameSizeAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, elsewhere := t.TempDir(), t.TempDir()
		path, a := makeKey(t, folder, "EdDSA")
		other, b := makeKey(t, elsewhere, "EdDSA")
		w := watch(t, folder)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		w.want(t, a, a)
		w.reread <- syscall.SIGHUP
		synctest.Wait()
		w.want(t, b, b)
	})
}

// TestLinkedFiles checks a folder like a volume of Kubernetes: the files are links into a folder that is itself a link,
// and all of them are rewritten, in any order, when one of them changes.
func TestLinkedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		volume, keys := t.TempDir(), t.TempDir()
		pathA, a := makeKey(t, keys, "EdDSA")
		time.Sleep(10 * time.Millisecond)
		pathB, b := makeKey(t, keys, "EdDSA")
		project := func(version string, files map[string]string, newestFirst bool) {
			t.Helper()
			if err := os.Mkdir(filepath.Join(volume, version), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, source := range files {
				text, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(volume, version, name)
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
				at := time.Now().Truncate(time.Second).Add(100 * time.Millisecond)
				if newestFirst == (name == "2.pem") {
					at = at.Add(time.Millisecond)
				}
				if err := os.Chtimes(path, at, at); err != nil {
					t.Fatal(err)
				}
				_ = os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name))
			}
			next := filepath.Join(volume, "..next")
			if err := os.Symlink(version, next); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, filepath.Join(volume, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		project("..v1", map[string]string{"1.pem": pathA}, true)
		old := watch(t, volume)
		old.want(t, a, a)
		time.Sleep(time.Hour)
		project("..v2", map[string]string{"1.pem": pathA, "2.pem": pathB}, false)
		time.Sleep(2500 * time.Millisecond)
		old.want(t, a, b, a)
		fresh := watch(t, volume) // a copy that starts agrees with the one that runs
		fresh.want(t, a, b, a)
		time.Sleep(10 * time.Minute)
		old.want(t, b, b, a)
		fresh.want(t, b, b, a)
		project("..v3", map[string]string{"1.pem": pathA, "2.pem": pathB}, true)
		time.Sleep(2500 * time.Millisecond)
		old.want(t, b, b, a)
	})
}

// TestRestart checks that a restart neither postpones a key whose grace period is over nor shortens the grace period
// of a new one.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		age := func(path string, d time.Duration) {
			t.Helper()
			at := time.Now().Add(-d)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		path, a := makeKey(t, folder, "EdDSA")
		age(path, time.Hour)
		time.Sleep(2500 * time.Millisecond)
		path, b := makeKey(t, folder, "EdDSA")
		age(path, 20*time.Minute)
		w := watch(t, folder)
		w.want(t, b, b, a)
		age(path, 9*time.Minute)
		w = watch(t, folder)
		w.want(t, a, b, a)
		time.Sleep(time.Minute + 1500*time.Millisecond)
		w.want(t, b, b, a)
		time.Sleep(time.Hour)
		age(path, 0) // a volume may renew the times of all its files
		time.Sleep(2500 * time.Millisecond)
		w.want(t, b, b, a)
	})
}

// TestKeyWithOldDate checks that a new key whose file is older than that of the signing key does not sign.
func TestKeyWithOldDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		_, a := makeKey(t, folder, "EdDSA")
		w := watch(t, folder)
		time.Sleep(500 * time.Millisecond)
		elsewhere, b := makeKey(t, t.TempDir(), "EdDSA")
		text, err := os.ReadFile(elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		old := filepath.Join(folder, "vault.pem")
		if err := os.WriteFile(old, text, 0o600); err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(old, past, past); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(1500 * time.Millisecond)
			w.want(t, a, a, b)
		}
		time.Sleep(time.Hour)
		w.want(t, a, a, b)
	})
}

func TestKeysOfOneSecond(t *testing.T) {
	folder := t.TempDir()
	_, a := makeKey(t, folder, "EdDSA")
	time.Sleep(2 * time.Millisecond)
	_, b := makeKey(t, folder, "EdDSA")
	i := newIssuer(t, func(o *Options) { o.Folder, o.Secret = folder, nil })
	if _, published := i.state(); !slices.Equal(published, []string{b, a}) {
		t.Errorf("published %v; want the second one first", published)
	}
	if signing, _ := i.state(); signing != a {
		t.Errorf("signing %s; want the first one, %s, until the second has been published for a while", signing, a)
	}
}

// TestSecretAndKeys checks a change from a secret to keys: for the grace period, copies with the secret alone and
// copies with both accept each other's tokens.
func TestSecretAndKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secretAlone := newIssuer(t, nil)
		folder := t.TempDir()
		_, id := makeKey(t, folder, "EdDSA")
		both := newIssuer(t, func(o *Options) { o.Folder = folder })
		keysAlone := newIssuer(t, func(o *Options) { o.Folder, o.Secret = folder, nil })
		checkAccepted := func(what string, i *Issuer, token string, want bool) {
			t.Helper()
			if _, _, err := i.Verify(token); (err == nil) != want {
				t.Errorf("%s: %v; want it accepted: %t", what, err, want)
			}
		}
		bySecret := sign(t, secretAlone)
		checkAccepted("a token by the secret, with both", both, bySecret, true)
		checkAccepted("a token with both, by the secret", secretAlone, sign(t, both), true) // the key is too new
		time.Sleep(10 * time.Minute)
		byKey := sign(t, both)
		if kid(t, byKey) != id {
			t.Errorf("signed by %q after a while; want the key", kid(t, byKey))
		}
		checkAccepted("a token by the key", keysAlone, byKey, true)
		checkAccepted("a token by the secret, with the key alone", keysAlone, bySecret, false)
	})
}
