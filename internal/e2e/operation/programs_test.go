package operation

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/MicahParks/keyfunc/v3" // The Go program in docs/api.md imports it.

	"dekamond-otp/internal/e2e/servicetest"
)

// programs prepares the programs of docs/api.md that check tokens, by their language.
var programs = map[string]func(t *testing.T, dir, text string) *exec.Cmd{
	"go": func(t *testing.T, dir, text string) *exec.Cmd {
		file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return exec.Command(program)
	},
	"js": func(t *testing.T, dir, text string) *exec.Cmd {
		if err := os.WriteFile(filepath.Join(dir, "main.mjs"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := servicetest.InstallNPM(dir, "jose@"+joseVersion); err != nil {
			t.Fatal(err)
		}
		node := exec.Command("node", "main.mjs")
		node.Dir = dir
		return node
	},
}

// joseVersion is one that the Node of Debian 12 runs as well.
const joseVersion = "5.10.0"

// TestProgramsThatCheckTokens runs the programs of docs/api.md with good and forged tokens, and while the signing key changes.
func TestProgramsThatCheckTokens(t *testing.T) {
	page, err := os.ReadFile(servicetest.Root + "docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, prepare := range programs {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
			if block == nil {
				t.Fatal("docs/api.md has no such program")
			}
			folder := t.TempDir()
			servicetest.NewKey(t, folder, "EdDSA")
			s := servicetest.Start(t, nil, append(servicetest.Unlimited, "JWT_KEYS="+folder, "JWT_KEY_GRACE=2s")...)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			l.Close()
			_, port, _ := net.SplitHostPort(address)
			text := strings.ReplaceAll(string(block[1]), "http://127.0.0.1:1628", s.URL)
			text = strings.NewReplacer("127.0.0.1:8081", address, "8081", port, "5 * time.Minute", "time.Second", "3_600_000", "1000").Replace(text)

			program := prepare(t, t.TempDir(), text)
			output := servicetest.NewOutput(t)
			program.Stdout, program.Stderr = output.File, output.File
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })
			orders := func(token string) (status int, body string) {
				r, err := http.NewRequest("GET", "http://"+address+"/orders", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				response, err := servicetest.Client.Do(r)
				if err != nil {
					return 0, err.Error()
				}
				defer response.Body.Close()
				answer, _ := io.ReadAll(response.Body)
				return response.StatusCode, string(answer)
			}
			servicetest.Eventually(t, "the program answers", func() bool { status, _ := orders(""); return status != 0 })

			login := s.Login(servicetest.Phone)
			user := login.Text("user", "id")
			token := login.Text("access_token")
			if status, body := orders(token); status != 200 || body != "the orders of "+user+"\n" {
				t.Fatalf("with a token: %d %s; want 200 and the user\n%s", status, body, output.String())
			}
			parts := strings.Split(token, ".")
			for name, forged := range map[string]string{
				"none": "", "no token": "x", "a refresh token": login.Text("refresh_token"), "without signature": parts[0] + "." + parts[1] + ".",
				"of another service": servicetest.Start(t, nil, "JWT_ISSUER=other", "JWT_KEYS="+folder).Login(servicetest.Phone).Text("access_token"),
				"for another":        servicetest.Start(t, nil, "JWT_AUDIENCE=other", "JWT_KEYS="+folder).Login(servicetest.Phone).Text("access_token"),
				"by a secret":        servicetest.Start(t, nil, "JWT_SECRET="+servicetest.JWTSecret).Login(servicetest.Phone).Text("access_token"),
			} {
				if status, body := orders(forged); status != 401 || body != "log in first\n" {
					t.Errorf("with a token %s: %d %s; want 401", name, status, body)
				}
			}
			_, next := servicetest.NewKey(t, folder, "ES256")
			servicetest.Eventually(t, "the new key signs", func() bool {
				login = s.Refresh(login.Text("refresh_token"))
				return servicetest.SigningKey(login) == next
			})
			servicetest.Eventually(t, "the program takes the new key", func() bool { status, _ := orders(login.Text("access_token")); return status == 200 })
		})
	}
}

// clientTest logs in with the client of docs/clients/javascript.md, after some mistakes, and lets its access token expire
// during five calls at once. It prints the result of each step.
const clientTest = `
import { countDown, fetchAsUser, requestCode, textFor, verify } from './otp.mjs'

const [base, phone] = process.argv.slice(2)
const problem = (promise) => promise.then(() => 'no problem', (p) => [p.code, p.retry_after > 0, textFor(p)].join(' '))
const real = globalThis.fetch
const expired = new Set()
let refreshed = 0
globalThis.fetch = (url, options) => {
  if (String(url).endsWith('/token/refresh')) refreshed++
  const token = options.headers.Authorization?.slice('Bearer '.length)
  return real(url, expired.has(token) ? { ...options, headers: { ...options.headers, Authorization: 'Bearer expired' } } : options)
}

console.log(await problem(fetchAsUser(base + '/me')))
console.log(await problem(requestCode('+98 21')))
const sent = await requestCode(phone)
console.log(sent.phone, sent.resend_in, sent.code_length)
console.log(await problem(requestCode(phone)))
let messages = []
while (messages.length === 0) ({ messages } = await (await real(base + '/dev/messages?phone=' + encodeURIComponent(phone))).json())
const { code } = messages[0]
console.log(await problem(verify(phone, code === '000000' ? '000001' : '000000')))
console.log((await verify(phone, code)).phone)

let token
globalThis.fetch = ((inner) => (url, options) => { token = options.headers.Authorization?.slice(7) ?? token; return inner(url, options) })(globalThis.fetch)
console.log((await fetchAsUser(base + '/me')).status)
expired.add(token)
console.log(...(await Promise.all([1, 2, 3, 4, 5].map(() => fetchAsUser(base + '/me')))).map((r) => r.status), refreshed)
console.log((await fetchAsUser(base + '/logout', { method: 'POST' })).status)
console.log(await problem(fetchAsUser(base + '/me')))
console.log(await problem(fetchAsUser(base + '/me')))
const shown = []
await new Promise((done) => countDown(1, (left) => { shown.push(left); if (left === 0) done() }))
console.log(shown[0], shown.at(-1))
`

func TestJavaScriptClient(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(servicetest.Root + "docs/clients/javascript.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```javascript\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/clients/javascript.md has no such program")
	}
	s := servicetest.Start(t, nil)
	dir := t.TempDir()
	for name, text := range map[string]string{"otp.mjs": strings.ReplaceAll(string(block[1]), "http://127.0.0.1:1628", s.URL), "test.mjs": clientTest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("node", filepath.Join(dir, "test.mjs"), s.URL, servicetest.Phone).CombinedOutput()
	want := strings.Join([]string{
		"invalid_token false Something went wrong. Please try again.",
		"invalid_phone false This is not a mobile number.",
		servicetest.Phone + " 30 6",
		"resend_too_soon true A message is on its way.",
		"invalid_code false This code is wrong or no longer valid.",
		servicetest.Phone,
		"200",
		"200 200 200 200 200 1",
		"204",
		"invalid_refresh_token false Something went wrong. Please try again.",
		"invalid_token false Something went wrong. Please try again.",
		"1 0", "",
	}, "\n")
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
