package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// reveal prints a Config with its secrets, for the message of a failed test.
func reveal(c *Config) string {
	var b strings.Builder
	for f, v := range reflect.ValueOf(c).Elem().Fields() {
		value := v.Interface()
		if s, ok := value.(Secret); ok {
			value = s.Reveal()
		}
		fmt.Fprintf(&b, "%s=%v ", f.Name, value)
	}
	return b.String()
}

func TestSecretDoesNotPrint(t *testing.T) {
	const text = "hunter2-hunter2-hunter2-hunter2-"
	secret := NewSecret(text)
	c := &Config{OTPSecret: secret}
	unexported := struct{ s Secret }{secret}

	outputs := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%q", "%x", "%X", "%t", "%p"} {
		if got := fmt.Sprintf(verb, secret); got != hidden && verb != "%p" { // fmt answers %p itself, with the address
			t.Errorf("%s prints %q, want %q", verb, got, hidden)
		}
		for name, v := range map[string]any{"secret": secret, "pointer": &secret, "config": c, "*config": *c, "unexported": unexported, "slice": []Secret{secret}} {
			outputs[verb+" of "+name] = fmt.Sprintf(verb, v)
		}
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("start", "secret", secret, "pointer", &secret, "config", c, "value", *c, "unexported", unexported)
	}
	outputs["slog"] = log.String()
	for name, v := range map[string]any{"secret": secret, "config": c, "key": map[string]any{"k": secret}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("json of %s: %v", name, err)
		}
		outputs["json of "+name] = string(b)
	}
	for how, got := range outputs {
		hex, upper := fmt.Sprintf("%x", text[:7]), fmt.Sprintf("%X", text[:7])
		for _, leak := range []string{text[:7], hex, upper, fmt.Sprint([]byte(text[:7]))[1:20]} {
			if strings.Contains(got, leak) {
				t.Errorf("%s prints the secret: %s", how, got)
			}
		}
	}
	if got, want := outputs["json of secret"], `"[secret]"`; got != want {
		t.Errorf("json = %s, want %s", got, want)
	}
	if !strings.Contains(outputs["%+v of *config"], "OTPSecret:[secret]") {
		t.Errorf("%%+v of a Config: %s", outputs["%+v of *config"])
	}
}

func TestSecretReveal(t *testing.T) {
	if got := (Secret{}).Reveal(); got != "" || !(Secret{}).IsZero() {
		t.Errorf("the zero Secret reveals %q", got)
	}
	if got := NewSecret("x").Reveal(); got != "x" || NewSecret("x").IsZero() {
		t.Errorf("NewSecret(x) reveals %q", got)
	}
}
