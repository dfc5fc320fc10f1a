package operation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// The host of the configurations in docs/deploy, and the address from which the tests call the proxies.
const (
	proxiedHost   = "login.example.com"
	callerAddress = "127.0.0.2"
)

// A caller makes a call through a proxy. Each header has the form "Name: value".
type caller func(method, path, body string, headers ...string) servicetest.Answer

// A proxyRun is what the configuration of a proxy is changed to for a test.
type proxyRun struct {
	dir         string // of the files cert.pem and key.pem
	http, https string // what the proxy listens on
	copies      []string
}

// Each of the proxies starts with its configuration from docs/deploy on the addresses of a run.
var proxies = map[string]func(t *testing.T, r proxyRun) *exec.Cmd{
	"nginx": func(t *testing.T, r proxyRun) *exec.Cmd {
		server := edited(t, "nginx.conf",
			"/etc/letsencrypt/live/"+proxiedHost+"/fullchain.pem", "cert.pem",
			"/etc/letsencrypt/live/"+proxiedHost+"/privkey.pem", "key.pem",
			"listen 80;", "listen "+r.http+";",
			"listen [::]:80;", "",
			"listen 443 ssl;", "listen "+r.https+" ssl;",
			"listen [::]:443 ssl;", "",
			"server 127.0.0.1:1628 ", "server "+r.copies[0]+" max_fails=0; server "+r.copies[1]+" ",
		)
		text := "daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off;\n" + server + "}\n"
		for _, folder := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			text = strings.Replace(text, "access_log", folder+"_temp_path "+folder+"; access_log", 1)
		}
		write(t, filepath.Join(r.dir, "nginx.conf"), text)
		c := exec.Command("nginx", "-p", r.dir, "-c", "nginx.conf")
		check := exec.Command("nginx", "-t", "-q", "-p", r.dir, "-c", "nginx.conf")
		if out, err := check.CombinedOutput(); err != nil || strings.Contains(string(out), "[warn]") {
			t.Fatalf("nginx -t: %v\n%s", err, out)
		}
		return c
	},
	"caddy": func(t *testing.T, r proxyRun) *exec.Cmd {
		_, port, _ := net.SplitHostPort(r.https)
		text := edited(t, "Caddyfile",
			proxiedHost+" {", "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"+
				proxiedHost+":"+port+" {\n\tbind 127.0.0.1\n\ttls "+r.dir+"/cert.pem "+r.dir+"/key.pem",
			"127.0.0.1:1628", strings.Join(r.copies, " "),
		)
		write(t, filepath.Join(r.dir, "Caddyfile"), text)
		return exec.Command("caddy", "run", "--config", filepath.Join(r.dir, "Caddyfile"))
	},
}

// edited returns a file of docs/deploy in which each of the texts is replaced by the one behind it. All must be there.
func edited(t *testing.T, name string, texts ...string) string {
	t.Helper()
	text := file(t, servicetest.Root+"docs/deploy/"+name)
	for i := 0; i < len(texts); i += 2 {
		if !strings.Contains(text, texts[i]) {
			t.Fatalf("docs/deploy/%s does not have %s", name, texts[i])
		}
		text = strings.Replace(text, texts[i], texts[i+1], 1)
	}
	return text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestProxies checks the proxies that docs/deploy configures, before two copies: people log in by TLS, the service sees
// the client's address and not the one that the client claims, what is for the operator is closed, and copies that are
// replaced one after the other cost no answer.
func TestProxies(t *testing.T) {
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("there is no %s: install Debian's package %s", name, name)
			}
			stores := append(servicetest.RealStores(t), servicetest.Unlimited...)
			stores = append(stores, "TRUSTED_PROXIES=127.0.0.1", "OTP_SECRET="+servicetest.OTPSecret,
				"JWT_SECRET="+servicetest.JWTSecret)
			r := proxyRun{
				dir:    t.TempDir(),
				http:   servertest.FreeAddress(t),
				https:  servertest.FreeAddress(t),
				copies: []string{servertest.FreeAddress(t), servertest.FreeAddress(t)},
			}
			copies := make([]*servicetest.Service, len(r.copies))
			replace := func(i int) {
				copies[i] = servicetest.Launch(t, t.TempDir(), append(stores, "HTTP_ADDR="+r.copies[i])...)
				copies[i].Await()
			}
			replace(0)
			replace(1)
			client := proxyClient(t, r)
			runProxy(t, start(t, r), r.dir)
			servicetest.Eventually(t, name+" answers", func() bool {
				return client("GET", "/healthz", "").Status == 200
			})
			for _, path := range []string{"/dev/messages", "/metrics", "/debug/pprof/"} {
				if a := client("GET", path, ""); a.Status != 404 || a.Header.Get("X-Request-ID") != "" {
					t.Errorf("GET %s: %d; want 404 from the proxy", path, a.Status)
				}
			}
			wantCallersAddress(t, client, copies)

			calls, failures := callMeanwhile(client, func() {
				for i := range 2 * len(copies) {
					copies[i%len(copies)].End(os.Interrupt)
					replace(i % len(copies))
				}
			})
			t.Logf("%d of %d calls failed while 4 copies were replaced", failures, calls)
			// Caddy must learn within a second that a copy stops, which a slow machine may take longer for.
			if name == "nginx" && failures*100 > calls {
				t.Errorf("%d of %d calls failed; want none, or a few on a slow machine", failures, calls)
			}
		})
	}
}

// runProxy runs a proxy until the test ends.
func runProxy(t *testing.T, c *exec.Cmd, dir string) {
	t.Helper()
	log := servicetest.NewOutput(t)
	c.Stdout, c.Stderr, c.Env = log.File, log.File, append(os.Environ(), "HOME="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", c.Path, log)
		}
	})
}

// callMeanwhile makes calls that are to be answered with 401 while work runs. It returns how many, and how many were
// answered otherwise.
func callMeanwhile(client caller, work func()) (calls, failures int64) {
	var made, failed atomic.Int64
	var stop atomic.Bool
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for !stop.Load() {
				made.Add(1)
				a := client("POST", "/token/refresh", `{"refresh_token":"`+strings.Repeat("A", 86)+`"}`)
				if a.Status != 401 {
					failed.Add(1)
				}
			}
		})
	}
	work()
	stop.Store(true)
	callers.Wait()
	return made.Load(), failed.Load()
}

// wantCallersAddress logs in by the proxy with a false X-Forwarded-For, and checks the address of the session.
func wantCallersAddress(t *testing.T, client caller, copies []*servicetest.Service) {
	t.Helper()
	const forged = "X-Forwarded-For: 203.0.113.9"
	if a := client("POST", "/otp/request", servicetest.JSON("phone", phone), forged); a.Status != 202 {
		t.Fatalf("request: %d %s", a.Status, a.Body)
	}
	var code string
	servicetest.Eventually(t, "a copy shows the code", func() bool {
		for _, s := range copies {
			if _, after, found := strings.Cut(s.Stdout.String(), "SMS to "+phone+": "); found {
				code = after[:6]
			}
		}
		return code != ""
	})
	login := client("POST", "/otp/verify", servicetest.JSON("phone", phone, "code", code), forged)
	sessions := client("GET", "/me/sessions", "", servicetest.Bearer(login))
	if want := `"ip":"` + callerAddress + `"`; !strings.Contains(sessions.Body, want) {
		t.Errorf("login: %d, sessions: %s; want %s", login.Status, sessions.Body, want)
	}
}

// proxyClient writes a certificate for the proxy, and returns a function that calls the proxy by TLS from
// callerAddress. An answer that is lost has the status 0.
func proxyClient(t *testing.T, r proxyRun) caller {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(newCertificate(t, r.dir))
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(callerAddress)}}
	client := http.Client{
		Timeout: servicetest.Patience,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", r.https)
			},
		},
	}
	return func(method, path, body string, headers ...string) servicetest.Answer {
		request, err := http.NewRequest(method, "https://"+proxiedHost+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return servicetest.Answer{}
		}
		request.Header.Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			request.Header.Set(name, value)
		}
		response, err := client.Do(request)
		if err != nil {
			return servicetest.Answer{Body: err.Error()}
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return servicetest.Answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
	}
}

// newCertificate writes cert.pem and key.pem for the host of the configurations into a folder, and returns the former.
func newCertificate(t *testing.T, dir string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              []string{proxiedHost},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, filepath.Join(dir, "cert.pem"), string(certificate))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return certificate
}
