package operation

import (
	"io"
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

// TestProgramsThatCheckTokens runs the programs of docs/api.md with good and forged tokens, and while the signing key
// changes.
func TestProgramsThatCheckTokens(t *testing.T) {
	for language := range programs {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			servicetest.NewKey(t, folder, "EdDSA")
			keys := "JWT_KEYS=" + folder
			s := servicetest.Start(t, nil, append(servicetest.Unlimited, keys, "JWT_KEY_GRACE=2s")...)
			p := startProgram(t, language, s)

			login := s.Login(phone)
			user, token := login.Text("user", "id"), login.Text("access_token")
			if status, body := p.orders(token); status != 200 || body != "the orders of "+user+"\n" {
				t.Fatalf("with a token: %d %s; want 200 and the user\n%s", status, body, p.output)
			}
			other := func(settings ...string) string {
				return servicetest.Start(t, nil, settings...).Login(phone).Text("access_token")
			}
			parts := strings.Split(token, ".")
			for name, forged := range map[string]string{
				"none":                 "",
				"no token":             "x",
				"a refresh token":      login.Text("refresh_token"),
				"without signature":    parts[0] + "." + parts[1] + ".",
				"of another service":   other("JWT_ISSUER=other", keys),
				"for another audience": other("JWT_AUDIENCE=other", keys),
				"signed by a secret":   other("JWT_SECRET=" + servicetest.JWTSecret),
			} {
				if status, body := p.orders(forged); status != 401 || body != "log in first\n" {
					t.Errorf("with a token %s: %d %s; want 401", name, status, body)
				}
			}

			_, next := servicetest.NewKey(t, folder, "ES256")
			servicetest.Eventually(t, "the new key signs", func() bool {
				login = s.Refresh(login.Text("refresh_token"))
				return servicetest.SigningKey(login) == next
			})
			servicetest.Eventually(t, "the program takes the new key", func() bool {
				status, _ := p.orders(login.Text("access_token"))
				return status == 200
			})
		})
	}
}

// A program is a running program of docs/api.md. It answers GET /orders with 200 to a good token, and with 401 to
// any other.
type program struct {
	t       *testing.T
	address string
	output  servicetest.Output
}

// startProgram starts the program of docs/api.md in a language on a free port, for the tokens of a service. It fetches
// keys each second at most. It is killed when the test ends.
func startProgram(t *testing.T, language string, s *servicetest.Service) *program {
	t.Helper()
	page := file(t, servicetest.Root+"docs/api.md")
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(page)
	if block == nil {
		t.Fatalf("docs/api.md has no program in %s", language)
	}
	p := &program{t: t, address: servicetest.FreeAddress(t), output: servicetest.NewOutput(t)}
	_, port, _ := strings.Cut(p.address, ":")
	text := strings.NewReplacer(
		"http://127.0.0.1:1628", s.URL,
		"127.0.0.1:8081", p.address,
		"8081", port,
		"5 * time.Minute", "time.Second",
		"3_600_000", "1000",
	).Replace(block[1])
	c := programs[language](t, t.TempDir(), text)
	c.Stdout, c.Stderr = p.output.File, p.output.File
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	servicetest.Eventually(t, "the program answers", func() bool { status, _ := p.orders(""); return status != 0 })
	return p
}

// orders calls GET /orders with a token. The status is 0 if there is no answer.
func (p *program) orders(token string) (status int, body string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.address+"/orders", nil)
	if err != nil {
		p.t.Fatal(err)
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

// clientTest logs in with the client of docs/clients/javascript.md, after some mistakes, and lets its access token
// expire during five calls at once. It prints the result of each step.
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
  const headers = { ...options.headers, Authorization: 'Bearer expired' }
  return real(url, expired.has(token) ? { ...options, headers } : options)
}

console.log(await problem(fetchAsUser(base + '/me')))
console.log(await problem(requestCode('+98 21')))
const sent = await requestCode(phone)
console.log(sent.phone, sent.resend_in, sent.code_length)
console.log(await problem(requestCode(phone)))
let messages = []
const query = '/dev/messages?phone=' + encodeURIComponent(phone)
while (messages.length === 0) ({ messages } = await (await real(base + query)).json())
const { code } = messages[0]
console.log(await problem(verify(phone, code === '000000' ? '000001' : '000000')))
console.log((await verify(phone, code)).phone)

let token
globalThis.fetch = ((inner) => (url, options) => {
  token = options.headers.Authorization?.slice('Bearer '.length) ?? token
  return inner(url, options)
})(globalThis.fetch)
console.log((await fetchAsUser(base + '/me')).status)
expired.add(token)
const answers = await Promise.all([1, 2, 3, 4, 5].map(() => fetchAsUser(base + '/me')))
console.log(...answers.map((r) => r.status), refreshed)
console.log((await fetchAsUser(base + '/logout', { method: 'POST' })).status)
console.log(await problem(fetchAsUser(base + '/me')))
console.log(await problem(fetchAsUser(base + '/me')))
const shown = []
await new Promise((done) => countDown(1, (left) => { shown.push(left); if (left === 0) done() }))
console.log(shown[0], shown.at(-1))
`

func TestJavaScriptClient(t *testing.T) {
	t.Parallel()
	page := file(t, servicetest.Root+"docs/clients/javascript.md")
	block := regexp.MustCompile("(?s)```javascript\n(.*?)```").FindStringSubmatch(page)
	if block == nil {
		t.Fatal("docs/clients/javascript.md has no such program")
	}
	s := servicetest.Start(t, nil)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"otp.mjs":  strings.ReplaceAll(block[1], "http://127.0.0.1:1628", s.URL),
		"test.mjs": clientTest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("node", filepath.Join(dir, "test.mjs"), s.URL, phone).CombinedOutput()
	want := strings.Join([]string{
		"invalid_token false Something went wrong. Please try again.",
		"invalid_phone false This is not a mobile number.",
		phone + " 30 6",
		"resend_too_soon true A message is on its way.",
		"invalid_code false This code is wrong or no longer valid.",
		phone,
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
