package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// settings stands for every struct that holds secrets.
type settings struct {
	Addr      string
	OTPSecret Secret
}

func TestSecretDoesNotPrint(t *testing.T) {
	const text = "hunter2-hunter2-hunter2-hunter2-"
	secret := New(text)
	c := &settings{OTPSecret: secret}
	unexported := struct{ s Secret }{secret}
	values := map[string]any{
		"secret":     secret,
		"pointer":    &secret,
		"config":     c,
		"*config":    *c,
		"unexported": unexported,
		"slice":      []Secret{secret},
		"map":        map[string]Secret{"k": secret},
	}
	outputs := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%q", "%x", "%X", "%t", "%p"} {
		// fmt answers %p itself, with the address.
		if got := fmt.Sprintf(verb, secret); got != hidden && verb != "%p" {
			t.Errorf("%s prints %q, want %q", verb, got, hidden)
		}
		for name, v := range values {
			outputs[verb+" of "+name] = fmt.Sprintf(verb, v)
		}
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info(
			"start", "secret", secret, "pointer", &secret, "config", c, "value", *c, "unexported", unexported,
		)
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
		t.Errorf("%%+v of a struct with a secret: %s", outputs["%+v of *config"])
	}
}

func TestReveal(t *testing.T) {
	if got := (Secret{}).Reveal(); got != "" || !(Secret{}).IsZero() {
		t.Errorf("the zero Secret reveals %q", got)
	}
	if got := New("x").Reveal(); got != "x" || New("x").IsZero() {
		t.Errorf("New(x) reveals %q", got)
	}
}
