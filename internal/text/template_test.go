package text

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folderTest is a folder of templates, by name.
type folderTest struct {
	name  string
	files map[string]string
}

const goodFile = `{{define "login"}}{{.Code}} login{{end}}{{define "phone_change"}}{{.Code}} move{{end}}`

func oneFile(name, file string) map[string]string { return map[string]string{name: file} }

// loginFile returns a file whose template for logins has the body.
func loginFile(body string) map[string]string {
	return oneFile("az.tmpl", `{{define "login"}}`+body+`{{end}}{{define "phone_change"}}{{.Code}}{{end}}`)
}

// open returns the Texts with the test's folder.
func (tt folderTest) open(t *testing.T) (*Texts, error) {
	t.Helper()
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
	return New(options(func(o *Options) { o.Folder = folder }))
}

// TestFolder checks the messages of good folders.
func TestFolder(t *testing.T) { //nolint:funlen // a table
	tests := []struct {
		folderTest
		want map[string]string // the message of a login, by locale
	}{
		{
			folderTest{"replace", oneFile("fa.tmpl", goodFile)},
			map[string]string{
				"fa": "042137 login",
				"en": "042137 is your Dekamond login code. Do not share it with anyone.",
			},
		},
		{
			folderTest{"add", map[string]string{
				"az.tmpl":    goodFile,
				"pt-BR.tmpl": goodFile,
			}},
			map[string]string{
				"az":    "042137 login",
				"pt-BR": "042137 login",
			},
		},
		{
			folderTest{"other files", map[string]string{
				"az.tmpl":        goodFile,
				"README.md":      "x",
				"fa.tmpl~":       "{{",
				"..data/en.tmpl": "{{",
			}},
			map[string]string{"az": "042137 login"},
		},
		{
			folderTest{"every field", loginFile("{{.App}}: {{.Code}} ({{.Minutes}} min)")},
			map[string]string{"az": "Dekamond: 042137 (2 min)"},
		},
		{
			folderTest{"twice the code", loginFile("{{.Code}} … {{.Code}}")},
			map[string]string{"az": "042137 … 042137"},
		},
		{
			folderTest{"if and else", loginFile(
				"{{if .App}}{{.App}} {{else}}x{{end}}{{if .Minutes}}{{.Code}}{{else}}y{{end}}",
			)},
			map[string]string{"az": "Dekamond 042137"},
		},
		{
			folderTest{"Windows", loginFile("\r\n  {{.Code}}\r\nkod  \r\n")},
			map[string]string{"az": "042137\nkod"},
		},
		{
			folderTest{"byte order mark", oneFile("az.tmpl", "\ufeff"+goodFile)},
			map[string]string{"az": "042137 login"},
		},
		{
			folderTest{"comment", oneFile("az.tmpl", "{{/* Salam */}}\n\n"+goodFile)},
			map[string]string{"az": "042137 login"},
		},
		{
			folderTest{"size", oneFile("az.tmpl", goodFile+strings.Repeat("\n", 64<<10-len(goodFile)))},
			map[string]string{"az": "042137 login"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts, err := tt.open(t)
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			got := make(map[string]string)
			for locale := range tt.want {
				got[locale] = texts.Compose(locale, login, testCode, time.Hour)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFaultyFolder checks that New names the fault of a folder.
func TestFaultyFolder(t *testing.T) { //nolint:funlen // a table
	const (
		fields   = ", but only .Code, .App, .Minutes and if can be used"
		noTag    = ": the name is no language tag, such as az or pt-BR"
		notPlain = ": az.tmpl: login has a control character or is not UTF-8"
	)
	tests := []struct {
		folderTest
		want string // the end of the error
	}{
		{folderTest{"nothing", nil}, ": no .tmpl file"},
		{
			folderTest{"too large", oneFile("az.tmpl", goodFile+strings.Repeat("\n", 64<<10-len(goodFile)+1))},
			": az.tmpl: more than 65536 bytes",
		},
		{folderTest{"no tag", oneFile("turkish!.tmpl", goodFile)}, ": turkish!.tmpl" + noTag},
		{folderTest{"no name", oneFile(".tmpl", goodFile)}, ": .tmpl" + noTag},
		{folderTest{"unknown language", oneFile("xx.tmpl", goodFile)}, ": xx.tmpl" + noTag},
		{folderTest{"no language", oneFile("und-IR.tmpl", goodFile)}, ": und-IR.tmpl" + noTag},
		{folderTest{"other form", oneFile("pt_br.tmpl", goodFile)}, ": pt_br.tmpl: the name has to be pt-BR.tmpl"},
		{folderTest{"folder", oneFile("az.tmpl/x", goodFile)}, ": az.tmpl: not a file"},
		{
			folderTest{"syntax", loginFile("{{.Code}} {{if .App}}")},
			`: az.tmpl: template: az.tmpl:1: unexpected <define> in command`,
		},
		{
			folderTest{"function", loginFile("{{slice .Code 0 3}}")},
			`: az.tmpl: template: az.tmpl:1: function "slice" not defined`,
		},
		{
			folderTest{"another field of a field", loginFile("{{.Code}} {{.App.Name}}")},
			": az.tmpl: login has {{.App.Name}}" + fields,
		},
		{
			folderTest{"variable", loginFile("{{.Code}} {{$x := .App}}")},
			": az.tmpl: login has {{$x := .App}}" + fields,
		},
		{
			folderTest{"loop", loginFile("{{.Code}}{{range .App}}x{{end}}")},
			": az.tmpl: login has {{range .App}}x{{end}}" + fields,
		},
		{
			folderTest{"itself", loginFile(`{{.Code}}{{template "login" .}}`)},
			`: az.tmpl: login has {{template "login" .}}` + fields,
		},
		{folderTest{"condition", loginFile("{{.Code}}{{if .Name}}x{{end}}")}, ": az.tmpl: login has .Name" + fields},
		{
			folderTest{"inside of a condition", loginFile("{{.Code}}{{if .App}}{{.Name}}{{end}}")},
			": az.tmpl: login has {{.Name}}" + fields,
		},
		{
			folderTest{"defined twice", oneFile("az.tmpl", goodFile+`{{define "login"}}{{.Code}}{{end}}`)},
			`template: multiple definition of template "login"`,
		},
		{folderTest{"unknown field", loginFile("{{.Code}} {{.Title}}")}, ": az.tmpl: login has {{.Title}}" + fields},
		{
			folderTest{"no login", oneFile("az.tmpl", `{{define "phone_change"}}{{.Code}}{{end}}`)},
			`: az.tmpl: no template "login"`,
		},
		{
			folderTest{"no phone_change", oneFile("az.tmpl", `{{define "login"}}{{.Code}}{{end}}`)},
			`: az.tmpl: no template "phone_change"`,
		},
		{folderTest{"plain text", oneFile("az.tmpl", "{{.Code}} login")}, `: az.tmpl: text outside of {{define}}`},
		{
			folderTest{"misspelt", oneFile("az.tmpl", goodFile+`{{define "login_shrot"}}{{.Code}}{{end}}`)},
			`: az.tmpl: unknown template "login_shrot"`,
		},
		{folderTest{"no code", loginFile("042137 is your code")}, ": az.tmpl: login does not show the code"},
		{folderTest{"empty", loginFile("")}, ": az.tmpl: login does not show the code"},
		{
			folderTest{"no code in an unused variant", oneFile(
				"az.tmpl",
				goodFile+`{{define "login_shortest"}}login{{end}}`,
			)},
			": az.tmpl: login_shortest does not show the code",
		},
		{folderTest{"control character", loginFile("{{.Code}}\a")}, notPlain},
		{folderTest{"tab", loginFile("{{.Code}}\tlogin")}, notPlain},
		{folderTest{"not UTF-8", loginFile("{{.Code}} \xff")}, notPlain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.open(t); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestOwnPurpose checks that a file replaces the purposes that it has, with all their variants, and no others.
func TestOwnPurpose(t *testing.T) {
	folder := t.TempDir()
	file := []byte(`{{define "login"}}{{.Code}} رمز{{end}}`)
	if err := os.WriteFile(filepath.Join(folder, "fa.tmpl"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	shipped, own := newTexts(t, options(nil)), newTexts(t, options(func(o *Options) { o.Folder = folder }))
	if got, want := own.Compose("fa", login, testCode, time.Hour), testCode+" رمز"; got != want {
		t.Errorf("login: got %q, want %q", got, want)
	}
	got := own.Compose("fa", phoneChange, testCode, time.Hour)
	want := shipped.Compose("fa", phoneChange, testCode, time.Hour)
	if got != want {
		t.Errorf("phone_change: got %q, want the shipped %q", got, want)
	}
	long := newTexts(t, options(func(o *Options) { o.Folder, o.Origin = folder, strings.Repeat("a", 60) }))
	if got := long.Compose("fa", login, testCode, time.Hour); !strings.HasPrefix(got, testCode+" رمز") {
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
	for _, tc := range []struct {
		ttl, life time.Duration
		want      string
	}{
		{30 * time.Second, 30 * time.Second, "1"},
		{time.Minute, time.Minute, "1"},
		{119 * time.Second, 119 * time.Second, "1"},
		{2 * time.Minute, 2 * time.Minute, "2"},
		{2 * time.Minute, 113 * time.Second, "2"},
		{2 * time.Minute, 0, "1"},
		{10 * time.Minute, 10 * time.Minute, "10"},
		{10 * time.Minute, 3*time.Minute + time.Second, "3"},
	} {
		o := options(func(o *Options) { o.Folder, o.TTL = folder, tc.ttl })
		if got := newTexts(t, o).Compose("en", login, testCode, tc.life); got != testCode+" "+tc.want {
			t.Errorf("%s of %s: got %q, want %s minutes", tc.life, tc.ttl, got, tc.want)
		}
	}
}
