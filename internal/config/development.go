package config

import "dekamond-otp/internal/secret"

// MakeSecrets sets the secrets that development may leave out. They are made once and kept under data/, so that codes
// and tokens outlive a restart.
func (c *Config) MakeSecrets() (err error) {
	if c.OTPSecret.IsZero() {
		if c.OTPSecret, err = secret.Kept("data/otp_secret"); err != nil {
			return err
		}
	}
	if c.JWTSecret.IsZero() && c.JWTKeys == "" {
		c.JWTSecret, err = secret.Kept("data/jwt_secret")
	}
	return err
}
