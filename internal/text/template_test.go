package text

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFolder(t *testing.T) {
	const good = `{{define "login"}}{{.Code}} login{{end}}{{define "phone_change"}}{{.Code}} move{{end}}`
	one := func(name, file string) map[string]string { return map[string]string{name: file} }
	loginOf := func(body string) map[string]string {
		return one("az.tmpl", `{{define "login"}}`+body+`{{end}}{{define "phone_change"}}{{.Code}}{{end}}`)
	}
	tests := []struct {
		name  string
		files map[string]string
		error string            // that New's error ends with; empty: none
		want  map[string]string // locale to the message that logs in
	}{
		{"replace", one("fa.tmpl", good), "", map[string]string{"fa": "042137 login", "en": "042137 is your Dekamond login code. Do not share it with anyone."}},
		{"add", map[string]string{"az.tmpl": good, "pt-BR.tmpl": good}, "", map[string]string{"az": "042137 login", "pt-BR": "042137 login"}},
		{"other files", map[string]string{"az.tmpl": good, "README.md": "x", "fa.tmpl~": "{{", "..data/en.tmpl": "{{"}, "", map[string]string{"az": "042137 login"}},
		{"every field", loginOf("{{.App}}: {{.Code}} ({{.Minutes}} min)"), "", map[string]string{"az": "Dekamond: 042137 (2 min)"}},
		{"twice the code", loginOf("{{.Code}} … {{.Code}}"), "", map[string]string{"az": "042137 … 042137"}},
		{"if and else", loginOf("{{if .App}}{{.App}} {{else}}x{{end}}{{if .Minutes}}{{.Code}}{{else}}y{{end}}"), "", map[string]string{"az": "Dekamond 042137"}},
		{"Windows", loginOf("\r\n  {{.Code}}\r\nkod  \r\n"), "", map[string]string{"az": "042137\nkod"}},
		{"byte order mark", one("az.tmpl", "\ufeff"+good), "", map[string]string{"az": "042137 login"}},
		{"comment", one("az.tmpl", "{{/* Salam */}}\n\n"+good), "", map[string]string{"az": "042137 login"}},
		{"size", one("az.tmpl", good+strings.Repeat("\n", 64<<10-len(good))), "", map[string]string{"az": "042137 login"}},

		{"nothing", nil, ": no .tmpl file", nil},
		{"too large", one("az.tmpl", good+strings.Repeat("\n", 64<<10-len(good)+1)), ": az.tmpl: more than 65536 bytes", nil},
		{"no tag", one("turkish!.tmpl", good), ": turkish!.tmpl: the name is no language tag, such as az or pt-BR", nil},
		{"no name", one(".tmpl", good), ": .tmpl: the name is no language tag, such as az or pt-BR", nil},
		{"unknown language", one("xx.tmpl", good), ": xx.tmpl: the name is no language tag, such as az or pt-BR", nil},
		{"no language", one("und-IR.tmpl", good), ": und-IR.tmpl: the name is no language tag, such as az or pt-BR", nil},
		{"other form", one("pt_br.tmpl", good), ": pt_br.tmpl: the name has to be pt-BR.tmpl", nil},
		{"folder", one("az.tmpl/x", good), ": az.tmpl: not a file", nil},
		{"syntax", loginOf("{{.Code}} {{if .App}}"), `: az.tmpl: template: az.tmpl:1: unexpected <define> in command`, nil},
		{"function", loginOf("{{slice .Code 0 3}}"), `: az.tmpl: template: az.tmpl:1: function "slice" not defined`, nil},
		{"another field of a field", loginOf("{{.Code}} {{.App.Name}}"), ": az.tmpl: login has {{.App.Name}}: there are .Code, .App, .Minutes and if", nil},
		{"variable", loginOf("{{.Code}} {{$x := .App}}"), ": az.tmpl: login has {{$x := .App}}: there are .Code, .App, .Minutes and if", nil},
		{"loop", loginOf("{{.Code}}{{range .App}}x{{end}}"), ": az.tmpl: login has {{range .App}}x{{end}}: there are .Code, .App, .Minutes and if", nil},
		{"itself", loginOf(`{{.Code}}{{template "login" .}}`), `: az.tmpl: login has {{template "login" .}}: there are .Code, .App, .Minutes and if`, nil},
		{"condition", loginOf("{{.Code}}{{if .Name}}x{{end}}"), ": az.tmpl: login has .Name: there are .Code, .App, .Minutes and if", nil},
		{"inside of a condition", loginOf("{{.Code}}{{if .App}}{{.Name}}{{end}}"), ": az.tmpl: login has {{.Name}}: there are .Code, .App, .Minutes and if", nil},
		{"defined twice", one("az.tmpl", good+`{{define "login"}}{{.Code}}{{end}}`), `template: multiple definition of template "login"`, nil},
		{"unknown field", loginOf("{{.Code}} {{.Nmae}}"), ": az.tmpl: login has {{.Nmae}}: there are .Code, .App, .Minutes and if", nil},
		{"no login", one("az.tmpl", `{{define "phone_change"}}{{.Code}}{{end}}`), `: az.tmpl: no template "login"`, nil},
		{"no phone_change", one("az.tmpl", `{{define "login"}}{{.Code}}{{end}}`), `: az.tmpl: no template "phone_change"`, nil},
		{"plain text", one("az.tmpl", "{{.Code}} login"), `: az.tmpl: text outside of {{define}}`, nil},
		{"misspelt", one("az.tmpl", good+`{{define "login_shrot"}}{{.Code}}{{end}}`), `: az.tmpl: unknown template "login_shrot"`, nil},
		{"no code", loginOf("042137 is your code"), ": az.tmpl: login does not show the code", nil},
		{"empty", loginOf(""), ": az.tmpl: login does not show the code", nil},
		{"no code in an unused variant", one("az.tmpl", good+`{{define "login_shortest"}}login{{end}}`), ": az.tmpl: login_shortest does not show the code", nil},
		{"control character", loginOf("{{.Code}}\a"), ": az.tmpl: login has a control character or is not UTF-8", nil},
		{"tab", loginOf("{{.Code}}\tlogin"), ": az.tmpl: login has a control character or is not UTF-8", nil},
		{"not UTF-8", loginOf("{{.Code}} \xff"), ": az.tmpl: login has a control character or is not UTF-8", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			for name, file := range tt.files {
				path := filepath.Join(folder, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			texts, err := New(options(func(o *Options) { o.Folder = folder }))
			if err != nil || tt.error != "" {
				if err == nil || tt.error == "" || !strings.HasSuffix(err.Error(), tt.error) {
					t.Errorf("got %v, want %q", err, tt.error)
				}
				return
			}
			got := make(map[string]string)
			for locale := range tt.want {
				got[locale] = texts.Compose(locale, login, testCode)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOwnPurpose holds that a file replaces what it has, with all its variants, and leaves the rest.
func TestOwnPurpose(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "fa.tmpl"), []byte(`{{define "login"}}{{.Code}} رمز{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	shipped, own := newTexts(t, options(nil)), newTexts(t, options(func(o *Options) { o.Folder = folder }))
	if got, want := own.Compose("fa", login, testCode), testCode+" رمز"; got != want {
		t.Errorf("login: got %q, want %q", got, want)
	}
	if got, want := own.Compose("fa", phoneChange, testCode), shipped.Compose("fa", phoneChange, testCode); got != want {
		t.Errorf("phone_change: got %q, want the shipped %q", got, want)
	}
	long := newTexts(t, options(func(o *Options) { o.Folder, o.Origin = folder, strings.Repeat("a", 60) }))
	if got := long.Compose("fa", login, testCode); !strings.HasPrefix(got, testCode+" رمز") {
		t.Errorf("login: got %q, a variant that is not the operator's", got)
	}
}

func TestNoFolder(t *testing.T) {
	_, err := New(options(func(o *Options) { o.Folder = "/nowhere" }))
	if err == nil || err.Error() != "text: /nowhere: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestMinutes(t *testing.T) {
	folder := t.TempDir()
	file := `{{define "login"}}{{.Code}} {{.Minutes}}{{end}}{{define "phone_change"}}{{.Code}}{{end}}`
	if err := os.WriteFile(filepath.Join(folder, "en.tmpl"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for ttl, want := range map[time.Duration]string{30 * time.Second: "1", time.Minute: "1", 119 * time.Second: "1", 2 * time.Minute: "2", 10 * time.Minute: "10"} {
		o := options(func(o *Options) { o.Folder, o.TTL = folder, ttl })
		if got := newTexts(t, o).Compose("en", login, testCode); got != testCode+" "+want {
			t.Errorf("%s: got %q, want %s minutes", ttl, got, want)
		}
	}
}
