package httpapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode compares decode with encoding/json, which is less strict.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`,
		`{"phone":"+989121234567"}`,
		`{"phone":1,"code":null}`,
		`{"phone":"a","phone":"b"}`,
		`null`,
		`[]`,
		` {"code":"۱۲۳"} `,
		`{"phone":{"phone":[]}}`,
		`{"phone":"\ud800"}`,
		"{\"phone\":\"\xff\"}",
		`{} {}`,
		``,
		`{"a":` + strings.Repeat("[", 1000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var in struct {
			Phone field `json:"phone"`
			Code  field `json:"code"`
		}
		err := decode(text, &in)
		var whole map[string]json.RawMessage
		reference := json.Unmarshal(text, &whole)
		if err != nil {
			if !errors.Is(err, errJSON) {
				t.Fatalf("decode(%q): %v; want errJSON", text, err)
			}
			return
		}
		if reference != nil || whole == nil || !utf8.Valid(text) {
			t.Fatalf("decode(%q) accepted what encoding/json refuses with %v", text, reference)
		}
		for name, got := range map[string]field{"phone": in.Phone, "code": in.Code} {
			raw, given := whole[name]
			var want string
			isString := given && raw[0] == '"' && json.Unmarshal(raw, &want) == nil
			if present := given && string(raw) != "null"; got.present != present || got.isString != isString {
				t.Fatalf("decode(%q): %s is %+v; want present %t, string %t", text, name, got, present, isString)
			}
			if isString && got.text != want {
				t.Fatalf("decode(%q): %s is %q; want %q", text, name, got.text, want)
			}
		}
	})
}
