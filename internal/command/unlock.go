package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/stores"
)

// unlock frees a phone from the limits of wrong attempts and of messages, by the same stores as the service, which need
// not run.
func (r *run) unlock(ctx context.Context, args []string) (err error) {
	if len(args) == 0 {
		return usageError("unlock needs a phone")
	}
	c, err := config.Load(os.Getenv, sms.Settings())
	if err != nil {
		return err
	}
	if c.EmbeddedRedis() {
		return setting.Refused{
			Variable: "REDIS_URL",
			Problem:  "is embedded, so that the limits are in the running service: call POST /users/unlock",
		}
	}
	number, err := phone.NewParser(c.DefaultRegion, slices.Collect(maps.Keys(c.OTPTestNumbers))...).Parse(args[0])
	if err != nil {
		return usageError("unlock was given no phone that the service would take: " +
			"write it as +98…, or as at home if DEFAULT_REGION is set")
	}
	if _, missing := os.Stat(config.KeptSecret); c.OTPSecret.IsZero() && missing != nil {
		return setting.Refused{
			Variable: "OTP_SECRET",
			Problem:  "is not set, and " + config.KeptSecret + " is not in this folder: run it where the service runs",
		}
	}
	if err := c.MakeSecret(); err != nil {
		return err
	}
	c.MigrateOnStart = false
	log := r.openLog(ctx, c)
	clock := new(clock.Clock)
	s, err := stores.Open(ctx, stores.Options{
		Config:  c,
		Policy:  services.Policy(c),
		Metrics: metrics.New(r.Version),
		Clock:   clock,
		Log:     log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	codes, err := otp.New(otp.Options{
		Store:  s.Codes,
		Log:    log,
		Secret: []byte(c.OTPSecret.Reveal()),
		Policy: services.Policy(c),
	})
	if err != nil {
		return err
	}
	accounts := account.New(account.Options{Store: s.Accounts, Log: log, Clock: clock})
	freed, err := login.New(codes, accounts, s.DatabaseHealth).Unlock(ctx, number, account.Actor{Kind: account.System})
	if err == nil {
		_, err = fmt.Fprintf(r.Stdout, "%s is free (wrong attempts: %d, messages: %d)\n",
			number, freed.Wrong, freed.Sends)
	}
	return err
}
