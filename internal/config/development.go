package config

import "dekamond-otp/internal/secret"

// KeptSecret is the file of the secret that development makes if OTP_SECRET is not set.
const KeptSecret = "data/otp_secret"

// developmentKeys is the folder of the key that development signs with if neither JWT_SECRET nor JWT_KEYS is set.
const developmentKeys = "data/keys"

// MakesKey reports whether JWTKeys is the folder in which development makes a signing key if there is none.
func (c *Config) MakesKey() bool { return !c.Production && c.JWTKeys == developmentKeys }

// MakeSecret sets OTPSecret if development has left it out. It is made once and kept under data/, so that codes outlive
// a restart.
func (c *Config) MakeSecret() (err error) {
	if c.OTPSecret.IsZero() {
		c.OTPSecret, err = secret.Kept(KeptSecret)
	}
	return err
}

// keyFolder reads JWT_KEYS. Development has a folder of its own unless JWT_SECRET signs.
func (r *reader) keyFolder() string {
	def := r.def(developmentKeys, "")
	if r.Text("JWT_SECRET", "") != "" {
		def = ""
	}
	return read(r, "JWT_KEYS", def, folder)
}
