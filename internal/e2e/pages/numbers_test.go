package pages

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"dekamond-otp/internal/e2e/servicetest"
	phones "dekamond-otp/internal/phone"
)

// TestNumbersOfPage has Node parse and format numbers as the login page does, with the settings that the service
// serves. What the page sends for a pasted number must be the number that the service reads in the pasted text.
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
	var pasted []pastedNumber
	for _, region := range settings.Field("regions").([]any) {
		code := region.(map[string]any)["code"].(string)
		example := phonenumbers.GetExampleNumberForType(code, phonenumbers.MOBILE)
		examples = append(examples, map[string]string{
			"region":   code,
			"digits":   phonenumbers.GetNationalSignificantNumber(example),
			"national": phonenumbers.Format(example, phonenumbers.NATIONAL),
		})
		pasted = append(pasted, waysToPaste(code, example)...)
	}
	write("examples.json", asJSON(t, examples))
	write("pasted.json", asJSON(t, pasted))
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
	text, err := os.ReadFile(filepath.Join(dir, "sent.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sent []struct{ Phone, Region string }
	if err := json.Unmarshal(text, &sent); err != nil {
		t.Fatal(err)
	}
	for i, number := range pasted {
		parser, _ := phones.NewParser("").In(sent[i].Region)
		if got, err := parser.Parse(sent[i].Phone); got.E164() != number.e164 {
			t.Errorf("%+q in %s: the page sends %v, which is %s, %v; the service reads the text as %s",
				number.Text, number.Region, sent[i], got.E164(), err, number.e164)
		}
	}
}

// A pastedNumber is a text beside a region, and the number that the service reads in it.
type pastedNumber struct {
	Text   string `json:"text"`
	Region string `json:"region"`
	e164   string
}

// waysToPaste returns a mobile number of a region in the forms that the service reads.
func waysToPaste(region string, example *phonenumbers.PhoneNumber) (ways []pastedNumber) {
	digits := phonenumbers.GetNationalSignificantNumber(example)
	calling := strconv.Itoa(int(example.GetCountryCode()))
	prefix := phonenumbers.GetNddPrefixForRegion(region, true)
	persian := func(digits string) string {
		return strings.Map(func(digit rune) rune { return digit - '0' + '۰' }, digits)
	}
	parser, _ := phones.NewParser("").In(region)
	for _, text := range []string{
		digits,
		prefix + digits,
		calling + digits,
		calling + prefix + digits,
		"+" + calling + digits,
		"+" + calling + prefix + digits,
		"00" + calling + digits,
		"＋" + calling + digits,
		"\u202a+" + calling + "\u00a0" + digits + "\u202c\n",
		"(+" + calling + ") " + digits[:2] + "-" + digits[2:],
		phonenumbers.Format(example, phonenumbers.NATIONAL),
		phonenumbers.Format(example, phonenumbers.INTERNATIONAL),
		persian(prefix + digits),
		digits[1:],
		digits[3:],
	} {
		if number, err := parser.Parse(text); err == nil {
			ways = append(ways, pastedNumber{text, region, number.E164()})
		}
	}
	return ways
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
