package httpapi

import (
	"io"
	"maps"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// words31 are the words of JSON Schema 2020-12 and OpenAPI 3.1 that OpenAPI 3.0 does not have.
var words31 = []string{
	"$anchor", "$comment", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$schema", "$vocabulary", "const",
	"contains", "contentEncoding", "contentMediaType", "contentSchema", "dependentRequired", "dependentSchemas", "else",
	"if",
	"jsonSchemaDialect", "maxContains", "minContains", "pathItems", "patternProperties", "prefixItems", "propertyNames",
	"then", "unevaluatedItems", "unevaluatedProperties", "webhooks",
}

// TestDowngrade checks that the document in OpenAPI 3.0 says the same as the one in 3.1, in the words of 3.0 alone.
func TestDowngrade(t *testing.T) {
	s := newServer(t, Options{})
	response, err := s.app.Test(httptest.NewRequest("GET", "/openapi-3.0.yaml", nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if mediaType := response.Header.Get("Content-Type"); err != nil || mediaType != "application/yaml" {
		t.Fatalf("GET /openapi-3.0.yaml: %s, %v; want YAML", mediaType, err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	var got, want any
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(openAPI, &want); err != nil {
		t.Fatal(err)
	}
	root := want.(map[string]any)
	root["openapi"] = "3.0.3"
	delete(root["info"].(map[string]any), "summary")
	wantSame(t, "", got, inWordsOf30(t, "", want))
}

// inWordsOf30 returns a part of a document in OpenAPI 3.1, whose schemas it translates. Examples are values, and keep
// their words.
func inWordsOf30(t *testing.T, at string, part any) any {
	t.Helper()
	switch part := part.(type) {
	case []any:
		for i := range part {
			part[i] = inWordsOf30(t, at, part[i])
		}
	case map[string]any:
		if types, ok := part["type"].([]any); ok {
			if len(types) != 2 || types[1] != "null" {
				t.Errorf("%s: OpenAPI 3.0 cannot say %v", at, types)
			}
			part["type"], part["nullable"] = types[0], true
		}
		if value, ok := part["const"]; ok {
			delete(part, "const")
			part["enum"] = []any{value}
		}
		if values, ok := part["examples"].([]any); ok {
			delete(part, "examples")
			part["example"] = values[0]
		}
		for _, word := range words31 {
			if _, ok := part[word]; ok {
				t.Errorf("%s: OpenAPI 3.0 does not have the word %s", at, word)
			}
		}
		for name := range maps.Keys(part) {
			if name != "example" && name != "value" {
				part[name] = inWordsOf30(t, at+"/"+name, part[name])
			}
		}
	}
	return part
}

// wantSame compares two parts of documents, and names the places at which they differ.
func wantSame(t *testing.T, at string, got, want any) {
	t.Helper()
	gotMap, ok1 := got.(map[string]any)
	wantMap, ok2 := want.(map[string]any)
	if !ok1 || !ok2 {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v; want %v", at, got, want)
		}
		return
	}
	names := maps.Clone(gotMap)
	maps.Copy(names, wantMap)
	for name := range names {
		wantSame(t, at+"/"+name, gotMap[name], wantMap[name])
	}
}
