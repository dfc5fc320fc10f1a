package doctor

import (
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/token"
)

const oldKey = 400 * 24 * time.Hour // A year, and some time to replace the key.

func examineKeys(all []token.Key, fault error, c *config.Config, now time.Time) (f findings) {
	if fault != nil {
		f.add(Wrong, "JWT_KEYS", "%s", fault.Error())
		return f
	}
	if len(all) == 0 {
		if c.MakesKey() {
			f.add(Note, "JWT_KEYS", "is made at the first start and kept in %s", c.JWTKeys)
		}
		return f
	}
	for _, k := range all {
		does := "verifies"
		if k.Signs {
			does = "signs"
		}
		made, id := k.Made.UTC().Format(time.DateOnly), k.ID[:min(8, len(k.ID))]
		f.add(OK, "JWT_KEYS", "%s of %s, kid %s…, %s", k.Algorithm, made, id, does)
	}
	signs := slices.IndexFunc(all, func(k token.Key) bool { return k.Signs })
	switch {
	case signs < 0:
		f.add(Note, "JWT_KEYS", "JWT_SECRET signs until a key has been there for JWT_KEY_GRACE")
	case now.Sub(all[signs].Made) > oldKey:
		f.add(Weak, "JWT_KEYS", "the key that signs is older than a year; make a new one with: dekamond-otp keys new")
	}
	if all[0].Made.After(now.Add(time.Hour)) {
		f.add(
			Weak, "JWT_KEYS",
			"the newest key has a date in the future: a key that you make now will not sign before that",
		)
	}
	if slices.ContainsFunc(all, func(k token.Key) bool { return k.WorldReadable }) {
		f.add(Note, "JWT_KEYS", "files can be read by every user of this machine; chmod 600 them, "+
			"unless the platform mounts them for the service alone")
	}
	if signs >= 0 && !c.JWTSecret.IsZero() {
		f.add(
			Note, "JWT_SECRET",
			"checks old tokens beside JWT_KEYS; remove it ACCESS_TTL after the keys sign everywhere",
		)
	}
	return f
}

// examineTexts reports messages that cost more than one, and templates that keep the service from starting.
func examineTexts(costly costlyTexts, fault error) (f findings) {
	if fault != nil {
		f.add(Wrong, "SMS_TEXTS", "%s", strings.TrimPrefix(fault.Error(), "SMS_TEXTS: "))
	}
	if len(costly.usual) > 0 {
		const bad = "cost more than one message each: %s; shorten APP_NAME or the texts"
		f.add(Weak, "texts", bad, strings.Join(costly.usual, ", "))
	}
	if len(costly.long) > 0 {
		const good = "cost more than one message each with the longer codes of phones that are under attack: %s"
		f.add(Note, "texts", good, strings.Join(costly.long, ", "))
	}
	return f
}

// examineLogo reports a logo that keeps the service from starting.
func examineLogo(fault error) (f findings) {
	if fault != nil {
		f.add(Wrong, "APP_LOGO", "%v", fault)
	}
	return f
}
