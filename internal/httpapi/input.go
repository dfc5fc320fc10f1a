package httpapi

import (
	"mime"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/account"
)

// A field is a string of a JSON object. A value of another type does not spoil the object: it is the
// field that is wrong then, and the one who reads the field says so.
type field struct {
	text     string
	present  bool
	isString bool
}

// UnmarshalJSON never fails. An optional field may as well be null.
func (f *field) UnmarshalJSON(value []byte) error {
	f.present = jsontext.Value(value).Kind() != 'n'
	f.isString = json.Unmarshal(value, &f.text) == nil && jsontext.Value(value).Kind() == '"'
	return nil
}

// A flag is a field that is true or false.
type flag struct{ value, isBool bool }

// UnmarshalJSON never fails.
func (f *flag) UnmarshalJSON(value []byte) error {
	f.isBool = json.Unmarshal(value, &f.value) == nil && jsontext.Value(value).Kind() != 'n'
	return nil
}

// readSwitch reads a parameter that is true or false; without it, it is false.
func readSwitch(c *fiber.Ctx, name string) (bool, error) {
	if !c.Context().QueryArgs().Has(name) {
		return false, nil
	}
	value := c.Query(name)
	if value != "true" && value != "false" {
		return false, errField
	}
	return value == "true", nil
}

// decode reads exactly one JSON object in UTF-8, without duplicate names, into a struct of fields and flags. Names
// are case-sensitive; those that the struct does not have are ignored. Its only error is errJSON.
func decode(body []byte, into any) error {
	if jsontext.Value(body).Kind() != '{' || json.Unmarshal(body, into) != nil {
		return errJSON
	}
	return nil
}

// body decodes the body of a request. Its errors are errMediaType and errJSON.
func body(c *fiber.Ctx, into any) error {
	mediaType, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || mediaType != fiber.MIMEApplicationJSON {
		return errMediaType
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return errMediaType
	}
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errMediaType
	}
	return decode(c.Request().Body(), into)
}

// locale is the shape of a BCP 47 language tag, such as fa, fa-IR or zh-Hant-TW.
var locale = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$`)

// client is the address that a request comes from: the rightmost hop that is no trusted proxy.
func (s *Server) client(c *fiber.Ctx) netip.Addr {
	var address netip.Addr
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		address = tcp.AddrPort().Addr().Unmap()
	}
	var hops []string
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0 && s.trusts(address); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		address = hop
	}
	return address
}

func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads an address, with or without a port.
func parseHop(hop string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

const maxUserAgent = 256 // bytes

// device describes the client to the sessions.
func (s *Server) device(c *fiber.Ctx) account.Client {
	agent := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(c.Get(fiber.HeaderUserAgent), ""))
	if len(agent) > maxUserAgent {
		agent = strings.ToValidUTF8(agent[:maxUserAgent], "")
	}
	return account.Client{IP: s.client(c).String(), UserAgent: strings.Clone(agent)}
}
