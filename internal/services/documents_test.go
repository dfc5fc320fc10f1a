package services

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/sms"
)

// readPage returns the text of a document, named from the root of the repository.
func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// policyOf returns the policy of a service with these settings, each NAME=value.
func policyOf(t *testing.T, settings []string) otp.Policy {
	t.Helper()
	env := make(map[string]string)
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	c, err := config.Load(func(name string) string { return env[name] }, sms.Settings())
	if err != nil {
		t.Fatalf("%v: %v", settings, err)
	}
	return Policy(c)
}

// oneIn returns a probability as the documents write it: 1 in 21,487.
func oneIn(probability float64) string {
	return message.NewPrinter(language.English).Sprintf("1 in %d", int(math.Round(1/probability)))
}

// inAYear returns the probability that something happens within a year that has this probability every day.
func inAYear(daily float64) float64 { return 1 - math.Pow(1-daily, 365) }

// oddsOf returns the row of the table in docs/guessing.md that belongs to these settings, as its first cell names them.
func oddsOf(p otp.Policy, settings string) string {
	short, long := p.DailyGuesses()
	longer := "none"
	if long > 0 {
		longer = fmt.Sprintf("%d with %d digits", long, p.LongLength())
	}
	daily := p.DailyOdds()
	return fmt.Sprintf("| %s | %d with %d digits | %s | %s | %s |",
		settings, short, p.Length, longer, oneIn(daily), oneIn(inAYear(daily)))
}

// TestTableOfOdds checks each row of the table in docs/guessing.md against the policy of its settings, that the first
// row has the defaults, and that the table has the settings that reviewers look for.
func TestTableOfOdds(t *testing.T) {
	_, section, _ := strings.Cut(readPage(t, "docs/guessing.md"), "\n## The odds\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var seen []string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || !strings.Contains(line, " in ") {
			continue
		}
		first := strings.TrimSpace(cells[0])
		var settings []string
		for _, m := range regexp.MustCompile("`([A-Z_]+=[^`]+)`").FindAllStringSubmatch(first, -1) {
			settings = append(settings, m[1])
		}
		seen = append(seen, strings.Join(settings, " "))
		if want := oddsOf(policyOf(t, settings), first); strings.TrimSpace(line) != want {
			t.Errorf("docs/guessing.md has the row\n%swant\n%s", line, want)
		}
	}
	if len(seen) == 0 || policyOf(t, strings.Fields(seen[0])) != policyOf(t, nil) {
		t.Errorf("the table in docs/guessing.md has the rows %q; want the defaults in the first one", seen)
	}
	for _, settings := range []string{
		"OTP_LENGTH=7",
		"OTP_LENGTH=8",
		"OTP_LENGTH=10",
		"OTP_DAILY_ATTEMPTS=10",
		"OTP_DAILY_ATTEMPTS=100",
		"OTP_LIMIT_PHONE=off",
		"OTP_MAX_ATTEMPTS=10",
	} {
		if !slices.Contains(seen, settings) {
			t.Errorf("the table in docs/guessing.md has no row for %q; it has %q", settings, seen)
		}
	}
}

// TestOddsInDocuments checks the odds that the documents state in words, with the default settings.
func TestOddsInDocuments(t *testing.T) {
	p := policyOf(t, nil)
	codes := math.Pow10(p.Length)
	device := oneIn(float64(p.DailyAttempts) / codes)
	perMessage := 2 * p.MaxAttempts // a new code for each: with its request, and without one
	messages := p.PerPhone.Max * int(24*time.Hour/p.PerPhone.Window)
	short, _ := p.DailyGuesses()
	changes := float64(short)/codes + float64(messages*perMessage-short)/math.Pow10(p.LongLength())
	for page, want := range map[string][]string{
		"README.md":    {oneIn(p.DailyOdds())},
		"CHANGELOG.md": {oneIn(p.DailyOdds())},
		"docs/guessing.md": {
			strings.Replace(oneIn(p.DailyOdds()), "1 in", "1 chance in", 1),
			fmt.Sprintf("%d with the defaults", p.MaxAttempts*(1+p.PerPhone.Max)),
			fmt.Sprintf("by %d at %d digits, which is %s", p.DailyAttempts, p.Length, device),
			fmt.Sprintf("%s a day", oneIn(otp.MaxDailyAttempts/math.Pow10(p.LongLength()))),
			fmt.Sprintf("%d users", messages*perMessage/p.DailyAttempts),
			fmt.Sprintf("%d messages", messages),
			fmt.Sprintf("%s a day at one number", oneIn(changes)),
		},
	} {
		text := strings.Join(strings.Fields(readPage(t, page)), " ")
		for _, words := range want {
			if !strings.Contains(text, words) {
				t.Errorf("%s does not say %q", page, words)
			}
		}
	}
}
