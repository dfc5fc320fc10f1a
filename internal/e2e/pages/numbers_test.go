package pages

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestNumbersOfPage has Node parse and format numbers as the login page does, with the settings that the service
// serves.
func TestNumbersOfPage(t *testing.T) {
	s := servicetest.Start(t, nil)
	s.Unvalidated = true
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", `{"type":"module"}`)
	write("phones.js", s.Want(s.Call("GET", "/login/phones.js", ""), 200, "").Body)
	settings := s.Want(s.Call("GET", "/login/settings.json", ""), 200, "")
	write("settings.json", settings.Body)
	var examples []map[string]string // as libphonenumber writes them
	for _, region := range settings.Field("regions").([]any) {
		code := region.(map[string]any)["code"].(string)
		example := phonenumbers.GetExampleNumberForType(code, phonenumbers.MOBILE)
		examples = append(examples, map[string]string{
			"region":   code,
			"digits":   phonenumbers.GetNationalSignificantNumber(example),
			"national": phonenumbers.Format(example, phonenumbers.NATIONAL),
		})
	}
	text, err := json.Marshal(examples)
	if err != nil {
		t.Fatal(err)
	}
	write("examples.json", string(text))
	test, err := os.ReadFile("testdata/phones.test.js")
	if err != nil {
		t.Fatal(err)
	}
	write("phones.test.js", string(test))
	node := exec.Command("node", "--test")
	node.Dir = dir
	if out, err := node.CombinedOutput(); err != nil {
		t.Errorf("node: %v\n%s", err, out)
	}
}
