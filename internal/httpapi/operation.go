package httpapi

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/otp"
)

// ready answers 200 if every dependency does, with one entry for each.
func (s *Server) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), time.Second)
	defer cancel()
	errs := make([]error, len(s.Checks))
	var wg sync.WaitGroup
	for i, check := range s.Checks {
		wg.Go(func() { errs[i] = check.Ping(ctx) })
	}
	wg.Wait()
	checks := make(map[string]string)
	for i, check := range s.Checks {
		if checks[check.Name] = "up"; errs[i] != nil {
			checks[check.Name] = "down"
		}
	}
	if s.stopping.Load() {
		errs = append(errs, errors.New("stopping"))
	}
	if err := errors.Join(errs...); err != nil {
		return &notReadyError{checks, err}
	}
	return c.JSON(fiber.Map{"status": "ready", "checks": checks})
}

//go:embed openapi.yaml
var openAPI []byte

func (s *Server) document(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml") // RFC 9512
	return c.Send(openAPI)
}

// keySet answers with the public keys, for those who check tokens by themselves.
func (s *Server) keySet(c *fiber.Ctx) error {
	set, maxAge, ok := s.Tokens.Published()
	if !ok {
		return errNotFound
	}
	c.Set(fiber.HeaderContentType, "application/jwk-set+json") // RFC 7517 §8.5.2
	c.Set(fiber.HeaderCacheControl, "public, max-age="+strconv.Itoa(seconds(maxAge)))
	return c.Send(set)
}

// hook takes the delivery reports of a provider.
func (s *Server) hook(c *fiber.Ctx) error {
	provider := strings.Clone(c.Params("provider"))
	hook, ok := s.Hooks[provider]
	if !ok {
		return errNotFound
	}
	reports, err := hook.Read(otp.Callback{
		URL: s.PublicURL + strings.Clone(c.OriginalURL()), Secret: strings.Clone(c.Params("secret")),
		ContentType: strings.Clone(c.Get(fiber.HeaderContentType)), Query: string(c.Request().URI().QueryString()), Body: slices.Clone(c.Request().Body()),
		Header: func(name string) string { return strings.Clone(c.Get(name)) },
	})
	if err != nil {
		// Nobody asks why an answer to a provider is a 401, and the signature covers the address.
		s.Log.WarnContext(c.UserContext(), "delivery report refused", "provider", provider, "public_url", s.PublicURL, "reason", err.Error())
		return err
	}
	for _, r := range reports {
		if err := s.OTP.Report(c.UserContext(), provider, r); err != nil {
			return err
		}
	}
	return c.JSON(fiber.Map{"status": "ok"})
}
