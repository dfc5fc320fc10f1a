package doctor

import (
	"slices"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/sms"
)

// A namedSecret is a secret with the setting that holds it.
type namedSecret struct {
	name     string
	value    secret.Secret
	invented bool // By the operator, so that it can be weak.
}

// secretsOf returns the secrets that should differ from each other.
func secretsOf(c *config.Config) []namedSecret {
	all := []namedSecret{
		{"OTP_SECRET", c.OTPSecret, true},
		{"JWT_SECRET", c.JWTSecret, true},
		{"HOOK_SECRET", c.HookSecret, true},
	}
	for _, p := range sms.Catalogue {
		for _, v := range p.Variables {
			if v.Secret && !v.Required {
				all = append(all, namedSecret{v.Name, c.Providers[v.Name], v.OwnSecret})
			}
		}
	}
	for _, key := range c.AdminAPIKey {
		all = append(all, namedSecret{"ADMIN_API_KEY", key, true})
	}
	return all
}

// examineSecrets examines what the operator has invented.
func examineSecrets(c *config.Config) (f findings) {
	const advice = "; make one with: openssl rand -base64 48"
	all := secretsOf(c)
	for i, s := range all {
		if s.value.IsZero() {
			continue
		}
		equal := func(other namedSecret) bool { return other.value.Reveal() == s.value.Reveal() }
		same := slices.IndexFunc(all[:i], equal)
		switch weakness := secret.Weakness(s.value); {
		case same >= 0:
			f.add(Weak, s.name, "is the same as %s%s", all[same].name, advice)
		case !s.invented:
		case weakness != "":
			f.add(Weak, s.name, "%s%s", weakness, advice)
		default:
			f.add(OK, s.name, "is long and shows no pattern")
		}
	}
	if c.OTPSecret.IsZero() {
		f.add(Note, "OTP_SECRET", "is made at the first start and kept in data/")
	}
	if len(c.AdminAPIKey) == 0 {
		f.add(Note, "ADMIN_API_KEY", "is not set: the admin endpoints answer 404")
	}
	return f
}
