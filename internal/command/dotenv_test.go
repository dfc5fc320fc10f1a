package command

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// TestDotEnv checks what is read of files that editors and other programs write.
func TestDotEnv(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                            {},
		"# nothing\n\n":               {},
		"A=1\nB=2\n":                  {"A": "1", "B": "2"},
		"A=1\r\nB=2\r\n":              {"A": "1", "B": "2"},
		"\ufeffA=1\n":                 {"A": "1"},
		"export A=1\nB: 2\nC = 3":     {"A": "1", "B": "2", "C": "3"},
		"A='one\ntwo'\nB=2\n":         {"A": "one\ntwo", "B": "2"},
		"A=\"one\r\ntwo\"\r\nB=2\r\n": {"A": "one\ntwo", "B": "2"},
		"A=1 # one\nB='2' # two\n":    {"A": "1", "B": "2"},
		"A=1\nB=${A}2\n":              {"A": "1", "B": "12"},
		"A=\nB=2":                     {"A": "", "B": "2"},
		"A='" + strings.Repeat("x\n", 40) + "'\n": {"A": strings.Repeat("x\n", 40)},
	} {
		if got, err := parse(text); !maps.Equal(got, want) || err != nil {
			t.Errorf("parse(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

// TestFaultInDotEnv checks that a fault names its line, quotes nothing, and leaves what is above it.
func TestFaultInDotEnv(t *testing.T) {
	const (
		form   = ".env: line 2 must have the form NAME=value"
		behind = ".env: line 2 has text behind the quote that ends its value"
		before = ".env: line 2 has something else than letters, digits and _ before the =, which may be invisible"
		space  = ".env: line 2 has a space in the name before the ="
		utf16  = ".env: is no UTF-8 text, perhaps UTF-16, which some editors and PowerShell write; save it as UTF-8"
	)
	for text, want := range map[string]string{
		"hunter2":                         form,
		"hunter2\n":                       form,
		"hunter2\nB=3\n":                  form,
		"=hunter2\n":                      form,
		"B='hunter2\ncaf\xe9'\n":          ".env: line 3 has bytes that are not UTF-8; save the file as UTF-8",
		"B='hunter2\n":                    ".env: line 2 opens a quote that nothing closes",
		"B=\"hunter2\n\nC=3\n":            ".env: line 2 opens a quote that nothing closes",
		"B='hunter2\nC='3'\nD=4\n":        ".env: line 2 opens a quote, and line 3 has text behind the end of it",
		"B='hunter2\n\n\n' x\nD=4\n":      ".env: line 2 opens a quote, and line 5 has text behind the end of it",
		"B='2' hunter2\n":                 behind,
		"B=\"2\"hunter2\n":                behind,
		"OTP SECRET=hunter2\n":            space,
		"set OTP_SECRET=hunter2\n":        space,
		"export OTP SECRET=hunter2\n":     space,
		"OTP-SECRET=hunter2\n":            before,
		"- OTP_SECRET=hunter2\n":          before,
		"\u200bOTP_SECRET=hunter2\n":      before,
		"{\"OTP_SECRET\": \"hunter2\"}":   before,
		"$env:OTP_SECRET = 'hunter2'\r\n": before,
	} {
		above, err := parse("A=1\n" + text)
		if err == nil || err.Error() != want {
			t.Errorf("parse(%q): %v; want %s", text, err, want)
		}
		if above["A"] != "1" || len(above) != 1 {
			t.Errorf("parse(%q) = %q; want the variable above the fault", text, above)
		}
	}
	for _, text := range []string{"\xff\xfeA\x00=\x001\x00", "\xfe\xff\x00A\x00=\x001", "A\x00=\x001\x00"} {
		if _, err := parse(text); err == nil || err.Error() != utf16 {
			t.Errorf("parse(%q): %v; want %s", text, err, utf16)
		}
	}
}

func TestReadDotEnv(t *testing.T) {
	t.Chdir(t.TempDir())
	if got, err := readDotEnv(); len(got) > 0 || err != nil {
		t.Errorf("without a file: %v, %v; want nothing", got, err)
	}
	if err := os.Mkdir(dotEnv, 0o700); err != nil {
		t.Fatal(err)
	}
	const folder = ".env: is a folder; it must be a file with one NAME=value a line"
	if _, err := readDotEnv(); err == nil || err.Error() != folder {
		t.Errorf("with a folder: %v; want %s", err, folder)
	}
	if err := os.Remove(dotEnv); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		dotEnv: ".env: cannot be read: ", // a link to itself
		"none": ".env: is a link to a file that does not exist",
	} {
		if err := os.Symlink(target, dotEnv); err != nil {
			t.Fatal(err)
		}
		if _, err := readDotEnv(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("with a link to %s: %v; want %s", target, err, want)
		}
		if err := os.Remove(dotEnv); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dotEnv, []byte("# "+strings.Repeat("x", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readDotEnv(); err == nil || !strings.HasPrefix(err.Error(), ".env: has more than ") {
		t.Errorf("with a large file: %v; want that it is too large", err)
	}
	if err := os.WriteFile(dotEnv, []byte("A=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readDotEnv(); got["A"] != "1" || err != nil {
		t.Errorf("with a file: %v, %v; want its variable", got, err)
	}
}
