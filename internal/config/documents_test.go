package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDocumentsNameEverySetting checks that docs/settings.md and .env.example have every setting once with its default,
// and no other name.
func TestDocumentsNameEverySetting(t *testing.T) {
	names := Names()
	if !slices.Contains(names, "OTP_SECRET") {
		t.Fatalf("the settings are %v", names)
	}
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^#([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		values[m[1]] = m[2]
	}
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, names) {
		t.Errorf(".env.example has the settings %v; want %v", got, names)
	}
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := make(map[string]string)
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (?:`(.*?)` )?\\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range rows.FindAllStringSubmatch(string(page), -1) {
		if _, ok := defaults[m[1]]; ok {
			t.Errorf("docs/settings.md has %s twice", m[1])
		}
		defaults[m[1]] = m[2]
	}
	if !maps.Equal(defaults, values) {
		t.Errorf("docs/settings.md has the defaults\n%v; .env.example has\n%v", defaults, values)
	}
	example, err := Load(func(name string) string { return values[name] })
	if err != nil {
		t.Fatalf(".env.example: %v", err)
	}
	unset, _ := Load(func(string) string { return "" })
	if got, want := fmt.Sprintf("%+v", *example), fmt.Sprintf("%+v", *unset); got != want {
		t.Errorf(".env.example is\n%s; want the defaults\n%s", got, want)
	}
}
