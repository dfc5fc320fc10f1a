package servicetest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// NewKey makes a signing key in a folder with the command "keys new" and returns its file and its key identifier.
func NewKey(t *testing.T, folder, algorithm string) (path, id string) {
	t.Helper()
	status, out, log := Run(t, t.TempDir(), []string{"JWT_KEYS=" + folder}, "keys", "new", algorithm)
	lines := strings.Split(out, "\n")
	if status != 0 || len(lines) != 3 {
		t.Fatalf("keys new %s: %d, %s, %s", algorithm, status, out, log)
	}
	return lines[0], strings.TrimPrefix(lines[1], "kid ")
}

// PublishedKeys returns the identifiers of the keys in the service's JSON Web Key Set.
func (s *Service) PublishedKeys() (ids []string) {
	s.t.Helper()
	set := s.Want(s.Call("GET", "/.well-known/jwks.json", ""), 200, "")
	for _, k := range set.Field("keys").([]any) {
		ids = append(ids, k.(map[string]any)["kid"].(string))
	}
	return ids
}

// SigningKey returns the identifier of the key that signed the access token of an answer.
func SigningKey(a Answer) string {
	id, _ := tokenPart(a, 0)["kid"].(string)
	return id
}

// Claims returns the claims in the access token of an answer.
func Claims(a Answer) map[string]any { return tokenPart(a, 1) }

// tokenPart returns a part of the access token of an answer: 0 is its header, and 1 its claims.
func tokenPart(a Answer, n int) (part map[string]any) {
	parts := strings.Split(a.Text("access_token"), ".")
	text, _ := base64.RawURLEncoding.DecodeString(parts[min(n, len(parts)-1)])
	_ = json.Unmarshal(text, &part)
	return part
}
