package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

func (s *Server) alive(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) }

// ready answers 200 if every dependency answers within a second, with one entry for each.
func (s *Server) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), time.Second)
	defer cancel()
	errs := make([]error, len(s.checks))
	var wg sync.WaitGroup
	for i, check := range s.checks {
		wg.Go(func() {
			if err := check.Ping(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", check.Setting, err)
			}
		})
	}
	wg.Wait()
	checks := make(map[string]string)
	for i, check := range s.checks {
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

// A notReadyError is an errNotReady with the state of each dependency, "up" or "down".
type notReadyError struct {
	checks map[string]string
	cause  error
}

func (e *notReadyError) Error() string { return fmt.Sprintf("not ready: %v", e.cause) }
func (e *notReadyError) Unwrap() error { return errNotReady }

// keySet answers with the public keys with which other services check access tokens.
func (s *Server) keySet(c *fiber.Ctx) error {
	set, maxAge, ok := s.tokens.Published()
	if !ok {
		return errNotFound
	}
	c.Set(fiber.HeaderContentType, "application/jwk-set+json") // RFC 7517 §8.5.2
	c.Set(fiber.HeaderCacheControl, "public, max-age="+strconv.Itoa(seconds(maxAge)))
	return c.Send(set)
}
