package httpapi

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/otp"
)

// hook receives the delivery reports of a provider.
func (s *Server) hook(c *fiber.Ctx) error {
	provider := strings.Clone(c.Params("provider"))
	hook, ok := s.hooks[provider]
	if !ok {
		return errNotFound
	}
	reports, err := hook.Read(otp.Callback{
		URL:         s.publicURL + strings.Clone(c.OriginalURL()),
		Secret:      strings.Clone(c.Params("secret")),
		ContentType: strings.Clone(c.Get(fiber.HeaderContentType)),
		Query:       string(c.Request().URI().QueryString()),
		Body:        slices.Clone(c.Request().Body()),
		Header:      func(name string) string { return strings.Clone(c.Get(name)) },
	})
	if err != nil {
		// The provider does not show its customer why a report was refused. A common reason is a wrong PUBLIC_URL,
		// which the signature covers.
		s.log.WarnContext(c.UserContext(), "delivery report refused",
			"provider", provider, "public_url", s.publicURL, "reason", err.Error())
		return err
	}
	for _, r := range reports {
		if err := s.codes.Report(c.UserContext(), provider, r); err != nil {
			return err
		}
	}
	return c.JSON(fiber.Map{"status": "ok"})
}
