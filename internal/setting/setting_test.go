package setting

import (
	"errors"
	"testing"
	"time"

	"dekamond-otp/internal/secret"
)

func reader(values map[string]string) *Reader {
	return NewReader(func(name string) string { return values[name] })
}

func TestRead(t *testing.T) {
	r := reader(map[string]string{"A": " 7 ", "B": "x", "C": "  "})
	for name, want := range map[string]int{"A": 7, "B": 0, "C": 3, "D": 3} {
		if got := Read(r, name, "3", Int(1, 9)); got != want {
			t.Errorf("Read(%s) = %d; want %d", name, got, want)
		}
	}
	if got := Read(r, "D", "", Int(1, 9)); got != 0 {
		t.Errorf("Read without value and default = %d; want 0", got)
	}
	const want = "B: must be a whole number from 1 to 9"
	if err := r.Err(); err == nil || err.Error() != want {
		t.Errorf("Err = %v; want %s", err, want)
	}
	if faults, ok := errors.AsType[Faults](r.Err()); !ok || len(faults) != 1 {
		t.Errorf("Err is %T; want Faults", r.Err())
	}
	if err := reader(nil).Err(); err != nil {
		t.Errorf("Err of a new reader = %v; want nil", err)
	}
}

// TestCheck checks that a rule adds no second fault to a variable, and none that follows from the fault of another.
func TestCheck(t *testing.T) {
	r := reader(map[string]string{"A": "x"})
	_ = Read(r, "A", "", Seconds("1s", "1m"))
	r.Check(false, "must be shorter than B", "A")
	r.Check(false, "must be longer than A", "B", "A")
	r.Check(true, "must be even", "C")
	r.Check(false, "must be odd", "C")
	r.Check(false, "must be prime", "C")
	const want = "A: must be a duration from 1s to 1m in whole seconds\nC: must be odd"
	if err := r.Err(); err == nil || err.Error() != want {
		t.Errorf("Err = %v; want %s", err, want)
	}
	if got, err := Seconds("1s", "1m")("60s"); got != time.Minute || err != nil {
		t.Errorf("Seconds(60s) = %s, %v; want 1m", got, err)
	}
}

func TestProvider(t *testing.T) {
	p := Provider{
		Name: "pigeon",
		Variables: []Variable{
			{Name: "PIGEON_KEY", Required: true, Secret: true},
			{Name: "PIGEON_SEAL", Production: true},
			{Name: "PIGEON_LOFT"},
			{Name: "PIGEON_CAGE", Default: "7", Check: Checked(Int(1, 9))},
			{Name: "PIGEON_ROUTES", Default: "north, south"},
		},
		Alternatives:  []string{"PIGEON_LOFT", "PIGEON_NEST"},
		MaxCodeLength: 8,
	}
	r, values := reader(map[string]string{"PIGEON_CAGE": "10"}), make(Values)
	p.Read(r, values)
	p.CheckUse(r, 9)
	p.CheckProduction(r)
	const used = " in SMS_PROVIDERS or SMS_ROUTES"
	const want = "PIGEON_CAGE: must be a whole number from 1 to 9\n" +
		"PIGEON_KEY: must be set for pigeon" + used + "\n" +
		"OTP_LENGTH: must be at most 8 for pigeon" + used + "\n" +
		"PIGEON_LOFT: must be set for pigeon, or PIGEON_NEST\n" +
		"PIGEON_SEAL: must be set in production for pigeon" + used
	if err := r.Err(); err == nil || err.Error() != want {
		t.Errorf("faults\n%v; want\n%s", err, want)
	}
	r = reader(map[string]string{"PIGEON_KEY": "k", "PIGEON_NEST": "n", "PIGEON_SEAL": "s"})
	p.Read(r, values)
	p.CheckUse(r, 8)
	p.CheckProduction(r)
	if err := r.Err(); err != nil {
		t.Errorf("faults of sound settings: %v", err)
	}
	if got := values.Text("PIGEON_KEY"); got != "k" {
		t.Errorf("Text(PIGEON_KEY) = %q; want k", got)
	}
	if got := values.Int("PIGEON_CAGE"); got != 7 {
		t.Errorf("Int(PIGEON_CAGE) = %d; want 7", got)
	}
	if got := values.List("PIGEON_ROUTES"); len(got) != 2 || got[1] != "south" {
		t.Errorf("List(PIGEON_ROUTES) = %q; want north and south", got)
	}
	if got := values.List("PIGEON_LOFT"); got != nil {
		t.Errorf("List(PIGEON_LOFT) = %q; want none", got)
	}
}

// TestUnknownVariable checks that a misspelt name in a provider does not go unnoticed.
func TestUnknownVariable(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Text of an unknown variable: no panic")
		}
	}()
	Values{"PIGEON_KEY": secret.New("k")}.Text("PIGEON_KEI")
}
