package config

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/sms"
)

// readFile returns the text of a file, named from the root of the repository.
func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentsNameEverySetting checks that docs/settings.md and .env.example have every setting once with its default,
// those of the providers among them, and no other name.
func TestDocumentsNameEverySetting(t *testing.T) {
	names := Names(sms.Settings())
	if !slices.Contains(names, "OTP_SECRET") {
		t.Fatalf("the settings are %v", names)
	}
	values := make(map[string]string)
	lines := regexp.MustCompile(`(?m)^#([A-Z_]+)=(.*)$`)
	for _, m := range lines.FindAllStringSubmatch(readFile(t, ".env.example"), -1) {
		values[m[1]] = m[2]
	}
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, names) {
		t.Errorf(".env.example has the settings %v; want %v", got, names)
	}
	defaults := make(map[string]string)
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (?:`(.*?)` )?\\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range rows.FindAllStringSubmatch(readFile(t, "docs/settings.md"), -1) {
		if _, ok := defaults[m[1]]; ok {
			t.Errorf("docs/settings.md has %s twice", m[1])
		}
		defaults[m[1]] = m[2]
	}
	if !maps.Equal(defaults, values) {
		t.Errorf("docs/settings.md has the defaults\n%v; .env.example has\n%v", defaults, values)
	}
	example, err := load(func(name string) string { return values[name] })
	if err != nil {
		t.Fatalf(".env.example: %v", err)
	}
	unset := mustLoad(t, func(string) string { return "" })
	if !reflect.DeepEqual(example, unset) {
		t.Errorf(".env.example is\n%s; want the defaults\n%s", reveal(example), reveal(unset))
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// table returns the rows of the Markdown tables below a heading, by the name that their first cell quotes.
func table(text, heading string) map[string]string {
	_, section, _ := strings.Cut(text, "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := make(map[string]string)
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			rows[quoted.FindStringSubmatch(line)[1]] = line
		}
	}
	return rows
}

// TestProvidersPage checks that docs/providers.md describes every provider and no other, with its channels, that it
// says what delivery reports need, and that it names no setting that the provider does not have.
func TestProvidersPage(t *testing.T) {
	text := readFile(t, "docs/providers.md")
	providers, reports := table(text, "What each provider needs"), table(text, "Delivery reports")
	names := Names(sms.Settings())
	for _, d := range sms.Catalogue {
		row := providers[d.Name]
		if row == "" {
			t.Errorf("docs/providers.md does not have %s", d.Name)
		}
		for _, channel := range d.Channels {
			if !strings.Contains(row, "`"+channel+"`") && !strings.Contains(row, "_CHANNELS`") {
				t.Errorf("docs/providers.md does not have the channel %s of %s", channel, d.Name)
			}
		}
		for _, setting := range d.ReportSettings {
			if !strings.Contains(reports[d.Name], "`"+setting+"`") {
				t.Errorf("docs/providers.md does not say that the delivery reports of %s need %s", d.Name, setting)
			}
		}
		own := regexp.MustCompile(`\b(?:SMS_)?` + strings.ToUpper(d.Name) + `_[A-Z_]+\b`)
		for _, name := range own.FindAllString(text, -1) {
			if !slices.Contains(names, name) {
				t.Errorf("docs/providers.md names %s, which is not a setting", name)
			}
		}
	}
	for name := range providers {
		if _, ok := sms.Describe(name); !ok {
			t.Errorf("docs/providers.md has %s, which is not a provider", name)
		}
	}
	for name := range reports {
		if d, _ := sms.Describe(name); len(d.ReportSettings) == 0 {
			t.Errorf("docs/providers.md has delivery reports of %s, which sends none", name)
		}
	}
}

// TestListsOfProviders checks that the row of SMS_PROVIDERS lists every provider and no other, and that openapi.yaml
// has a path for the delivery reports of every provider that sends some.
func TestListsOfProviders(t *testing.T) {
	var names, reporters []string
	for _, d := range sms.Catalogue {
		names = append(names, d.Name)
		if len(d.ReportSettings) > 0 {
			reporters = append(reporters, d.Name)
		}
	}
	row := table(readFile(t, "docs/settings.md"), "Messages")["SMS_PROVIDERS"]
	_, list, _ := strings.Cut(row, "in order of preference")
	var listed []string
	for _, m := range quoted.FindAllStringSubmatch(list, -1) {
		listed = append(listed, m[1])
	}
	if !sameNames(listed, names) {
		t.Errorf("docs/settings.md lists the providers %v; want %v", listed, names)
	}
	paths := regexp.MustCompile(`(?m)^  /hooks/\{provider\}.*:\n(?:^   .*\n)*?.*enum: \[(.*?)\]`)
	var described []string
	for _, m := range paths.FindAllStringSubmatch(readFile(t, "internal/httpapi/openapi.yaml"), -1) {
		described = append(described, strings.Split(m[1], ", ")...)
	}
	if !sameNames(described, reporters) {
		t.Errorf("openapi.yaml has delivery reports of %v; want %v", described, reporters)
	}
}

// sameNames reports whether both lists have the same names, in any order and any number.
func sameNames(a, b []string) bool {
	unique := func(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
	return slices.Equal(unique(a), unique(b))
}
