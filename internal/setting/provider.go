package setting

import (
	"regexp"
	"strconv"
	"strings"

	"dekamond-otp/internal/secret"
)

// A Variable describes one setting of a provider.
type Variable struct {
	Name    string
	Default string
	Example string // A value of the right shape, for the documents and tests.

	Required   bool // The provider cannot be used without it.
	Production bool // The provider cannot be used in production without it.
	Secret     bool // It must not be shown to anyone.
	OwnSecret  bool // It is a secret that the operator invents, so that it can be weak.
	Endpoint   bool // It is a URL that messages are sent to.

	// Check returns what the value must be, as a Parser does. It may be nil.
	Check func(s string) error

	// Shape is what the provider's values look like today, and Like the same in words. A value of another shape is
	// suspicious and not a fault, because the provider may change it. Shape may be nil.
	Shape *regexp.Regexp
	Like  string
}

// Checked returns parse as the Check of a Variable.
func Checked[T any](parse Parser[T]) func(s string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

// A Provider describes the settings of one messaging provider, and the rules that they have to keep.
type Provider struct {
	Name          string // As SMS_PROVIDERS names it.
	Variables     []Variable
	Alternatives  []string // Two variables of which one must be set; empty if there is no such rule.
	MaxCodeLength int      // Digits of the longest code that it delivers; 0 = any.
	Development   bool     // It delivers to no phone: it is free of charge, and in production never the first choice.
}

// Values holds the settings of providers by the names of their variables. Every value is hidden, whether it is a secret
// or not, so that none of them can be printed by mistake. The zero Secret means not set.
type Values map[string]secret.Secret

// Text returns the value of a variable, or "" if it is not set. It panics if no provider describes the variable.
func (v Values) Text(name string) string {
	value, ok := v[name]
	if !ok {
		panic("setting: no provider describes " + name)
	}
	return value.Reveal()
}

// Int returns the value of a variable that its Check found to be a whole number, or 0 if it is not set.
func (v Values) Int(name string) int {
	n, _ := strconv.Atoi(v.Text(name))
	return n
}

// List returns the values of a variable that are separated by commas.
func (v Values) List(name string) (values []string) {
	for value := range strings.SplitSeq(v.Text(name), ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// Read reads all variables of the provider into values, and keeps their faults in r.
func (p Provider) Read(r *Reader, values Values) {
	for _, v := range p.Variables {
		values[v.Name] = Read(r, v.Name, v.Default, Secret(func(s string) (string, error) {
			if v.Check == nil {
				return s, nil
			}
			return s, v.Check(s)
		}))
	}
}

// CheckUse adds the faults that keep the provider from being used with codes of codeLength digits.
func (p Provider) CheckUse(r *Reader, codeLength int) {
	const used = " in SMS_PROVIDERS or SMS_ROUTES"
	for _, v := range p.Variables {
		r.Check(!v.Required || r.Text(v.Name, v.Default) != "", "must be set for "+p.Name+used, v.Name)
	}
	if most := p.MaxCodeLength; most > 0 {
		r.Check(codeLength <= most, "must be at most "+strconv.Itoa(most)+" for "+p.Name+used, "OTP_LENGTH")
	}
	if a := p.Alternatives; len(a) == 2 {
		set := r.Text(a[0], "")+r.Text(a[1], "") != ""
		r.Check(set, "must be set for "+p.Name+", or "+a[1], a[0])
	}
}

// CheckProduction adds the faults that keep the provider from being used in production.
func (p Provider) CheckProduction(r *Reader) {
	for _, v := range p.Variables {
		ok := !v.Production || r.Text(v.Name, v.Default) != ""
		r.Check(ok, "must be set in production for "+p.Name+" in SMS_PROVIDERS or SMS_ROUTES", v.Name)
	}
}
