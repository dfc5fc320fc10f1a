package httpapi

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// A field is a string in a JSON object. A value of another type does not make the object invalid: the handler that
// reads the field decides what it means.
type field struct {
	text     string
	present  bool // and not null
	isString bool
}

// UnmarshalJSON never fails. A null is treated as a missing field.
func (f *field) UnmarshalJSON(value []byte) error {
	f.present = jsontext.Value(value).Kind() != 'n'
	f.isString = json.Unmarshal(value, &f.text) == nil && jsontext.Value(value).Kind() == '"'
	return nil
}

// A flag is a boolean in a JSON object.
type flag struct{ value, isBool bool }

// UnmarshalJSON never fails.
func (f *flag) UnmarshalJSON(value []byte) error {
	f.isBool = json.Unmarshal(value, &f.value) == nil && jsontext.Value(value).Kind() != 'n'
	return nil
}

// decode reads exactly one JSON object in UTF-8, without duplicate names, into a struct of fields and flags. Names are
// case-sensitive; names that the struct does not have are ignored. Its only error is errJSON.
func decode(body []byte, into any) error {
	if jsontext.Value(body).Kind() != '{' || json.Unmarshal(body, into) != nil {
		return errJSON
	}
	return nil
}

// readBody decodes the request's body. Its errors are errMediaType and errJSON.
func readBody(c *fiber.Ctx, into any) error {
	// No parameter has a meaning, charset least of all (RFC 8259 §11): JSON is UTF-8, which decode checks.
	mediaType, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), fiber.MIMEApplicationJSON) {
		return errMediaType
	}
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errMediaType
	}
	return decode(c.Request().Body(), into)
}

// parsePhone reads the phone in a field. A national number belongs to the region in the other field or, without one, to
// DEFAULT_REGION. An empty region is none, because that is what a handset without a SIM card knows. The errors are
// those of phone.Parser.Parse, and errField for a region that does not exist.
func (s *Server) parsePhone(number, region field) (phone.Number, error) {
	phones := s.phones
	isEmpty := region.isString && region.text == ""
	if region.present && !isEmpty {
		in, ok := phones.In(region.text)
		if !ok {
			return phone.Number{}, errField
		}
		phones = in
	}
	if !number.isString {
		return phone.Number{}, phone.ErrInvalid
	}
	return phones.Parse(number.text)
}

// queryPhone returns a query parameter that holds a phone. A plus that is not escaped stays a plus, although it stands
// for a space in other parameters (WHATWG URL Standard §5.1), because hardly anyone escapes that of a phone.
func queryPhone(c *fiber.Ctx, name string) string {
	query, err := url.ParseQuery(strings.ReplaceAll(string(c.Request().URI().QueryString()), "+", "%2B"))
	if err != nil {
		return c.Query(name)
	}
	return query.Get(name)
}

// queryBool reads a query parameter that is true or false. Defaults to false. Its error is errField.
func queryBool(c *fiber.Ctx, name string) (bool, error) {
	if !c.Context().QueryArgs().Has(name) {
		return false, nil
	}
	value := c.Query(name)
	if value != "true" && value != "false" {
		return false, errField
	}
	return value == "true", nil
}

const (
	defaultLimit = 20
	maxLimit     = 100
)

// queryCursor reads the query of a page: the page has at most limit rows, the newest first, all of them older than the
// row whose identifier is before. If before is uuid.Nil, the page starts at the newest row. Its error is errField.
func queryCursor(c *fiber.Ctx) (limit int, before uuid.UUID, err error) {
	limit = defaultLimit
	if text := c.Query("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
			return 0, uuid.Nil, errField
		}
	}
	if cursor := c.Query("cursor"); cursor != "" {
		if before, err = parseID(cursor); err != nil {
			return 0, uuid.Nil, errField
		}
	}
	return limit, before, nil
}

// pathID reads the identifier in the path. Its error is errNotFound, because any other text names nothing.
func pathID(c *fiber.Ctx) (uuid.UUID, error) {
	id, err := parseID(c.Params("id"))
	if err != nil {
		return uuid.Nil, errNotFound
	}
	return id, nil
}

// parseID reads an identifier in its hyphenated form (RFC 9562 §4). uuid.Parse alone would read other forms, too.
func parseID(text string) (uuid.UUID, error) {
	if len(text) != len(uuid.Nil.String()) {
		return uuid.Nil, errField
	}
	return uuid.Parse(text)
}
