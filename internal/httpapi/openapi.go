package httpapi

import (
	_ "embed"
	"regexp"
	"sync"

	"github.com/gofiber/fiber/v2"
)

// openAPI describes this API in OpenAPI 3.1.
//
//go:embed openapi.yaml
var openAPI []byte

// openAPI30 returns openAPI in OpenAPI 3.0, which many generators of clients read alone. It is made for the first of
// them, because that takes as long as the rest of a start.
var openAPI30 = sync.OnceValue(func() []byte { return downgrade(openAPI) })

// downgrades are what OpenAPI 3.1 says in another way than 3.0, or what 3.0 cannot say. They rely on how openapi.yaml
// is written, and the test of downgrade finds what they miss.
var downgrades = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`\Aopenapi: 3\.1\.\d`), "openapi: 3.0.3"},
	{regexp.MustCompile(`(?m)^info:\n((?:  .*\n)*?)  summary: .*\n`), "info:\n$1"},
	{regexp.MustCompile(`(?m)^( +)type: \[(\w+), "null"\]$`), "${1}type: $2\n${1}nullable: true"},
	{regexp.MustCompile(`type: \[(\w+), "null"\]`), "type: $1, nullable: true"},
	{regexp.MustCompile(`examples: \[([^],]*)[^]]*\]`), "example: $1"},
	{regexp.MustCompile(`(?m)^( +(?:.*[{,] )?)const: ([^,}\n]*[^,}\n ])`), "${1}enum: [$2]"},
}

// downgrade translates a document in OpenAPI 3.1 to 3.0.
func downgrade(document []byte) []byte {
	for _, d := range downgrades {
		document = d.from.ReplaceAll(document, []byte(d.to))
	}
	return document
}

// document returns the handler that answers with an OpenAPI document.
func document(text func() []byte) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, "application/yaml") // RFC 9512
		return c.Send(text())
	}
}
