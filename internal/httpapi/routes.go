package httpapi

import "github.com/gofiber/fiber/v2"

// mount registers all routes but those of the pages that depend on settings: callspage.go and loginpage.go.
func (s *Server) mount() {
	app := s.app

	// Login by code. See login.go.
	app.Post("/otp/request", s.request)
	app.Get("/otp/status", s.status)
	app.Post("/otp/verify", s.verify)
	app.Post("/token/refresh", s.refresh)

	// With an access token. See me.go.
	app.Post("/logout", s.logOut)
	app.Get("/me", s.me)
	app.Delete("/me", s.deleteMe)
	app.Get("/me/sessions", s.mySessions)
	app.Delete("/me/sessions/:id", s.endMySession)
	app.Post("/me/phone/request", s.requestPhoneChange)
	app.Post("/me/phone/verify", s.verifyPhoneChange)

	// With an admin key. See admin.go and audit.go.
	if len(s.adminKeys) > 0 {
		app.Get("/users", s.requireAdmin, s.users)
		app.Post("/users/unlock", s.requireAdmin, s.unlock)
		app.Get("/users/:id", s.requireAdmin, s.user)
		app.Patch("/users/:id", s.requireAdmin, s.patchUser)
		app.Delete("/users/:id", s.requireAdmin, s.deleteUser)
		app.Get("/users/:id/sessions", s.requireAdmin, s.userSessions)
		app.Delete("/users/:id/sessions", s.requireAdmin, s.endUserSessions)
		app.Get("/audit", s.requireAdmin, s.audit)
	}

	// Delivery reports of providers, which call with either method. See hook.go.
	for _, method := range []string{fiber.MethodGet, fiber.MethodPost} {
		app.Add(method, "/hooks/:provider", s.hook)
		app.Add(method, "/hooks/:provider/:secret", s.hook)
	}

	// About the service itself. See operation.go, openapi.go, page.go, documents.go and dev.go.
	app.Get("/.well-known/jwks.json", s.keySet)
	app.Get("/healthz", s.alive)
	app.Get("/readyz", s.ready)
	app.Get("/openapi.yaml", document(func() []byte { return openAPI }))
	app.Get("/openapi-3.0.yaml", document(openAPI30))
	s.mountDocuments()
	if s.inbox != nil {
		app.Get(devPath, s.devMessages)
	}
}
