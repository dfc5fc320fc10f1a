package servicetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/MicahParks/keyfunc/v3" // The Go program in docs/api.md imports it.

	"dekamond-otp/internal/servertest"
)

// joseVersion is one that the Node of Debian 12 runs as well.
const joseVersion = "5.10.0"

// Block returns the first block of a language in a page below docs, with some texts in it replaced: each old one is
// followed by its new one.
func Block(t *testing.T, page, language string, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile(Root + "docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("docs/%s has no program in %s", page, language)
	}
	return strings.NewReplacer(oldnew...).Replace(string(block[1]))
}

// A Program is a running program of docs/api.md. It answers GET /orders with 200 to a good token, and with 401 to
// any other.
type Program struct {
	URL    string
	Output Output
}

// StartProgram starts the program of docs/api.md in a language, go or js, on a free port, for the tokens of a service
// and for a page of an origin. It fetches keys each second at most. It is killed when the test ends.
func StartProgram(t *testing.T, language string, s *Service, origin string) *Program {
	t.Helper()
	address := servertest.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	text := Block(t, "api.md", language,
		"http://127.0.0.1:1628", s.URL,
		"http://127.0.0.1:8080", origin,
		"127.0.0.1:8081", address,
		"8081", port,
		"5 * time.Minute", "time.Second",
		"3_600_000", "1000",
	)
	p := &Program{URL: "http://" + address, Output: NewOutput(t)}
	c := programCommand(t, language, text)
	c.Stdout, c.Stderr = p.Output.File, p.Output.File
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	Eventually(t, "the program answers", func() bool {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
	return p
}

// programCommand returns a command that runs the text of a program.
func programCommand(t *testing.T, language, text string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	if language == "go" {
		file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
		writeFile(t, file, text)
		if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return exec.Command(program)
	}
	writeFile(t, filepath.Join(dir, "main.mjs"), text)
	if err := InstallNPM(dir, "jose@"+joseVersion); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "main.mjs")
	node.Dir = dir
	return node
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
