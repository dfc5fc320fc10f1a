package operation

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestProgramsBesideDevelopment checks that the programs of docs/api.md work beside a service without any setting.
func TestProgramsBesideDevelopment(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil)
	login := s.Login(phone)
	for _, language := range []string{"go", "js"} {
		p := servicetest.StartProgram(t, language, s, "http://127.0.0.1:8080")
		status, body := orders(t, p, login.Text("access_token"))
		if status != 200 || body != "the orders of "+login.Text("user", "id")+"\n" {
			t.Errorf("the program in %s: %d %s; want 200 and the user\n%s", language, status, body, p.Output)
		}
		if status, _ := orders(t, p, login.Text("refresh_token")); status != 401 {
			t.Errorf("the program in %s without an access token: %d; want 401", language, status)
		}
	}
	if got := userOf(t, s, login.Text("access_token")); got != login.Text("user", "id")+"\n" {
		t.Errorf("the program in Python: %s; want the user", got)
	}
	if got := userOf(t, s, "x.y.z"); got != "DecodeError\n" {
		t.Errorf("the program in Python with another text: %s; want an error", got)
	}
}

// userOf returns what the function in Python of docs/api.md returns for a token, or the name of its exception. It runs
// with the Python of the system, for which Debian has the libraries.
func userOf(t *testing.T, s *servicetest.Service, token string) string {
	t.Helper()
	const python, libraries = "/usr/bin/python3", "import jwt, cryptography"
	if exec.Command(python, "-c", libraries).Run() != nil {
		install := exec.Command(servicetest.Root+".ci/install", "python3-jwt", "python3-cryptography")
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	const call = `
import sys
try:
    print(user_of(sys.argv[1]))
except jwt.PyJWTError as e:
    print(type(e).__name__)
`
	program := servicetest.Block(t, "api.md", "python", "http://127.0.0.1:1628", s.URL) + call
	out, err := exec.Command(python, "-c", program, token).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestProgramsThatCheckTokens runs the programs of docs/api.md with good and forged tokens, and while the signing key
// changes.
func TestProgramsThatCheckTokens(t *testing.T) {
	for _, language := range []string{"go", "js"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			servicetest.NewKey(t, folder, "EdDSA")
			keys := "JWT_KEYS=" + folder
			s := servicetest.Start(t, nil, append(servicetest.Unlimited, keys, "JWT_KEY_GRACE=2s")...)
			p := servicetest.StartProgram(t, language, s, "http://127.0.0.1:8080")

			login := s.Login(phone)
			user, token := login.Text("user", "id"), login.Text("access_token")
			if status, body := orders(t, p, token); status != 200 || body != "the orders of "+user+"\n" {
				t.Fatalf("with a token: %d %s; want 200 and the user\n%s", status, body, p.Output)
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
				if status, body := orders(t, p, forged); status != 401 || body != "log in first\n" {
					t.Errorf("with a token %s: %d %s; want 401", name, status, body)
				}
			}

			_, next := servicetest.NewKey(t, folder, "ES256")
			servicetest.Eventually(t, "the new key signs", func() bool {
				login = s.Refresh(login.Text("refresh_token"))
				return servicetest.SigningKey(login) == next
			})
			servicetest.Eventually(t, "the program takes the new key", func() bool {
				status, _ := orders(t, p, login.Text("access_token"))
				return status == 200
			})
		})
	}
}

// orders calls GET /orders of a program with a token. The status is 0 if there is no answer.
func orders(t *testing.T, p *servicetest.Program, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.URL+"/orders", nil)
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

// clientTest logs in with the client of docs/clients/javascript.md, after some mistakes and although a stranger burns
// the code, lets its access token expire during five calls at once, loses the answer of a refresh, logs out, and logs
// in again while a stranger's code is live. It prints the result of each step.
const clientTest = `
import { countDown, fetchAsUser, logOut, requestCode, textFor, verify, watch } from './otp.mjs'

const [base, phone] = process.argv.slice(2)
const problem = (promise) => promise.then(() => 'no problem', (p) => [p.code, p.retry_after > 0, textFor(p)].join(' '))
const real = globalThis.fetch
const stranger = (path, body) => real(base + path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
  body: JSON.stringify(body),
}).then((r) => r.status)
const wrongOf = (code) => code === '000000' ? '000001' : '000000'
// shown returns the newest of so many messages to the phone, once they are there.
async function shown(count) {
  let messages = []
  const query = '/dev/messages?phone=' + encodeURIComponent(phone)
  while (messages.length < count) ({ messages } = await (await real(base + query)).json())
  return messages[0].code
}
const expired = new Set()
let refreshed = 0
let lost = 0
const named = [] // What each call of /otp names beside the phone, the newest last.
watch((user) => console.log('watch', user?.phone))
globalThis.fetch = (url, options) => {
  if (String(url).endsWith('/token/refresh')) {
    refreshed++
    if (lost-- > 0) return real(url, options).then(() => { throw new TypeError('lost') })
  }
  if (String(url).includes('/otp/')) named.push(JSON.parse(options.body))
  const token = options.headers.Authorization?.slice('Bearer '.length)
  const headers = { ...options.headers, Authorization: 'Bearer expired' }
  return real(url, expired.has(token) ? { ...options, headers } : options)
}

console.log(await problem(fetchAsUser(base + '/me')))
console.log(await problem(requestCode('+98 21')))
const sent = await requestCode(phone)
console.log(sent.phone, sent.resend_in, sent.code_length)
console.log(await problem(requestCode(phone)))
const again = await requestCode(phone).catch((p) => p)
console.log(again.code_live, again.code_length, again.expires_in > 0)
const code = await shown(1)
console.log(await problem(verify(phone, wrongOf(code))))
for (let i = 0; i < 5; i++) await stranger('/otp/verify', { phone, code: wrongOf(code) })
console.log(await stranger('/otp/verify', { phone, code }))
console.log((await verify(phone, code)).phone)
console.log(named.at(-1).request_id === sent.request_id, named.at(-1).device_token)

let token
globalThis.fetch = ((inner) => (url, options) => {
  token = options.headers.Authorization?.slice('Bearer '.length) ?? token
  return inner(url, options)
})(globalThis.fetch)
console.log((await fetchAsUser(base + '/me')).status)
expired.add(token)
const answers = await Promise.all([1, 2, 3, 4, 5].map(() => fetchAsUser(base + '/me')))
console.log(...answers.map((r) => r.status), refreshed)
expired.add(token)
lost = 1
console.log((await fetchAsUser(base + '/me')).status, refreshed)
expired.add(token)
lost = 2
console.log(await problem(fetchAsUser(base + '/me')), (await fetchAsUser(base + '/me')).status)
const old = token
await logOut()
await logOut()
console.log(await problem(fetchAsUser(base + '/me')))
console.log((await real(base + '/me', { headers: { Authorization: 'Bearer ' + old } })).status)
console.log(await stranger('/otp/request', { phone }), await stranger('/otp/request', { phone }))
await shown(2)
const second = await requestCode(phone)
console.log(second.phone, named.at(-1).device_token.length > 60)
console.log((await verify(phone, await shown(3))).phone)
console.log(named.at(-1).request_id === second.request_id, named.at(-1).device_token === named.at(-2).device_token)
const seconds = []
await new Promise((done) => countDown(1, (left) => { seconds.push(left); if (left === 0) done() }))
console.log(seconds[0], seconds.at(-1))
`

func TestJavaScriptClient(t *testing.T) {
	t.Parallel()
	// The client repeats no call that SQLite took too long for, as it does on a slow machine.
	s := servicetest.Start(t, servicetest.RealStores(t), "OTP_TTL=10m", "OTP_RESEND_AFTER=10m")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"otp.mjs":  servicetest.Block(t, "clients/javascript.md", "javascript", "http://127.0.0.1:1628", s.URL),
		"test.mjs": clientTest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("node", filepath.Join(dir, "test.mjs"), s.URL, phone).CombinedOutput()
	want := strings.Join([]string{
		"watch undefined",
		"invalid_token false Something went wrong. Please try again.",
		"invalid_phone false This is not a mobile number.",
		phone + " 600 6",
		"resend_too_soon true Please type the code that was sent to you.",
		"true 6 true",
		"invalid_code false This code is wrong or no longer valid.",
		"401",
		"watch " + phone,
		phone,
		"true undefined",
		"200",
		"200 200 200 200 200 1",
		"200 3",
		" false Something went wrong. Please try again. 200",
		"watch undefined",
		"invalid_token false Something went wrong. Please try again.",
		"401",
		"202 429",
		phone + " true",
		"watch " + phone,
		phone,
		"true true",
		"1 0", "",
	}, "\n")
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
