package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentsNameEverySetting holds docs/settings.md and .env.example complete, and .env.example usable as it
// is when every line of it is made to count.
func TestDocumentsNameEverySetting(t *testing.T) {
	names := Names()
	if !slices.Contains(names, "OTP_SECRET") {
		t.Fatalf("the settings are %v", names)
	}
	for file, pattern := range map[string]string{"../../docs/settings.md": "(?m)^\\| .*`%s`.* \\|", "../../.env.example": `(?m)^#%s=`} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !regexp.MustCompile(strings.ReplaceAll(pattern, "%s", name)).Match(text) {
				t.Errorf("%s does not have %s", file, name)
			}
		}
	}
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^#([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		if values[m[1]] = m[2]; !slices.Contains(names, m[1]) {
			t.Errorf(".env.example has %s, which is no setting", m[1])
		}
	}
	example, err := Load(func(name string) string { return values[name] })
	if err != nil {
		t.Fatalf(".env.example: %v", err)
	}
	defaults, _ := Load(func(string) string { return "" })
	if got, want := fmt.Sprintf("%+v", *example), fmt.Sprintf("%+v", *defaults); got != want {
		t.Errorf(".env.example is\n%s; want the defaults\n%s", got, want)
	}
}
