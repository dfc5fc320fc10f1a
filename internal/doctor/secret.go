package doctor

import (
	"slices"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/secret"
)

// secrets looks at what the operator has made up.
func secrets(c *config.Config) (f findings) {
	type entry struct {
		name  string
		value secret.Secret
	}
	all := []entry{
		{"OTP_SECRET", c.OTPSecret},
		{"JWT_SECRET", c.JWTSecret},
		{"HOOK_SECRET", c.HookSecret},
		{"SMS_WEBHOOK_SECRET", c.SMSWebhook.Secret},
		{"VONAGE_SIGNATURE_SECRET", c.Vonage.SignatureSecret},
	}
	for _, key := range c.AdminAPIKey {
		all = append(all, entry{"ADMIN_API_KEY", key})
	}
	const advice = "; make one with: openssl rand -base64 48"
	for i, s := range all {
		if s.value.IsZero() {
			continue
		}
		same := slices.IndexFunc(all[:i], func(other entry) bool { return other.value.Reveal() == s.value.Reveal() })
		switch weak := secret.Weakness(s.value); {
		case s.name == "VONAGE_SIGNATURE_SECRET" && same < 0: // Vonage has made it
		case same >= 0:
			f.add(Weak, s.name, "is the same as %s%s", all[same].name, advice)
		case weak != "":
			f.add(Weak, s.name, "%s%s", weak, advice)
		default:
			f.add(OK, s.name, "is long and shows no pattern")
		}
	}
	if c.OTPSecret.IsZero() {
		f.add(Note, "OTP_SECRET", "is made at the first start and kept in data/")
	}
	if c.JWTSecret.IsZero() && c.JWTKeys == "" {
		f.add(Note, "JWT_SECRET", "is made at the first start and kept in data/")
	}
	if len(c.AdminAPIKey) == 0 {
		f.add(Note, "ADMIN_API_KEY", "is not set: the admin calls answer 404")
	}
	return f
}
