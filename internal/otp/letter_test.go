package otp

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLetterOfOtherVersions checks that this version reads the letters of the version before it, and that its own
// letters keep the fields of that version and add the request's identifier alone.
func TestLetterOfOtherVersions(t *testing.T) {
	k := deriveKeys([]byte(strings.Repeat("s", 32)))
	before := `{"to":"+989121234567","region":"IR","channel":"sms","purpose":"p","asked":"fa-IR","locale":"fa",` +
		`"traceparent":"00-1","tracestate":"a=b"}`
	want := letter{
		To:      "+989121234567",
		Region:  "IR",
		Channel: "sms",
		Purpose: "p",
		Asked:   "fa-IR",
		Locale:  "fa",
		Parent:  "00-1",
		State:   "a=b",
	}
	got, err := k.unseal(k.letters.Seal(nil, nil, []byte(before), nil))
	if err != nil || *got != want {
		t.Errorf("a letter of the version before: %+v, %v; want %+v", got, err, want)
	}

	want.RequestID = "request"
	sealed, err := k.seal(&want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.unseal(sealed); err != nil || *got != want {
		t.Errorf("a letter of this version: %+v, %v; want %+v", got, err, want)
	}
	text, err := k.letters.Open(nil, nil, sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "request_id")
	for name, value := range fields {
		if text, ok := value.(string); !ok || !strings.Contains(before, `"`+name+`":"`+text+`"`) {
			t.Errorf("%s is %v; want it as in the version before", name, value)
		}
	}
	if len(fields) != 8 {
		t.Errorf("fields %v; want those of the version before", fields)
	}
}
