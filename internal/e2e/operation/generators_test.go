package operation

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// document is the name of the document in the folder of a generator. The generators could not fetch it from a loopback
// address, which some refuse.
const document = "openapi-3.0.yaml"

// Each of the generators builds a client from the document, in a folder that has a program for this client, and returns
// the program.
var generators = map[string]func(t *testing.T, dir string) *exec.Cmd{
	// Version 2.8.2; go.mod beside the program says so.
	"oapi-codegen": func(t *testing.T, dir string) *exec.Cmd {
		runIn(t, dir, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", "client.go",
			document)
		runIn(t, dir, "go", "build", "-o", "program")
		return exec.Command(filepath.Join(dir, "program"))
	},
	"openapi-typescript-codegen": func(t *testing.T, dir string) *exec.Cmd {
		if err := servicetest.InstallNPM(dir, "openapi-typescript-codegen@0.31.0", "typescript@5.9.3"); err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(dir, "node_modules/.bin/")
		runIn(t, dir, filepath.Join(bin, "openapi"), "--input", document, "--output", "client", "--client", "fetch")
		runIn(t, dir, filepath.Join(bin, "tsc"), "--strict", "--target", "es2022", "--module", "commonjs",
			"--lib", "es2022,dom,dom.iterable", "--outDir", "built", "main.ts")
		return exec.Command("node", filepath.Join(dir, "built/main.js"))
	},
}

// TestGenerators checks that generators that read OpenAPI 3.0 alone build clients from /openapi-3.0.yaml that log in.
func TestGenerators(t *testing.T) {
	for name, generate := range generators {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The programs repeat no call that SQLite took too long for, as it does on a slow machine.
			s := servicetest.Start(t, servicetest.RealStores(t))
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
				t.Fatal(err)
			}
			s.Unvalidated = true // because the validator takes YAML for the object that is written in it
			text := s.Want(s.Call("GET", "/"+document, ""), 200, "").Body
			if err := os.WriteFile(filepath.Join(dir, document), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			program := generate(t, dir)
			program.Args = append(program.Args, s.URL, phone)
			out, err := program.CombinedOutput()
			const want = phone + " 6\ninvalid_code_format\ntrue " + phone + "\n" + phone + " true\n"
			if err != nil || string(out) != want {
				t.Errorf("%v\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}

// runIn runs a command in a folder, which must succeed.
func runIn(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c, err, out)
	}
}
