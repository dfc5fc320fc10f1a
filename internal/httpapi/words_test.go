package httpapi

import (
	"encoding/json"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// words are texts of the login page, by their key.
type words map[string]string

func readLoginFile(t *testing.T, name string) string {
	t.Helper()
	text, err := pageFiles.ReadFile("pages/login/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readWords returns the words of a language, and apart from them those of the problems, by their code.
func readWords(t *testing.T, language string) (plain, ofProblems words) {
	t.Helper()
	plain, ofProblems = make(words), make(words)
	var all map[string]any
	if err := json.Unmarshal([]byte(readLoginFile(t, "words."+language+".json")), &all); err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	for key, value := range all {
		switch value := value.(type) {
		case string:
			plain[key] = value
		case map[string]any:
			for code, text := range value {
				ofProblems[code], _ = text.(string)
			}
		}
	}
	return plain, ofProblems
}

// placeholders returns the {placeholders} of a text in alphabetical order.
func placeholders(text string) string {
	found := regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)
	return strings.Join(slices.Sorted(slices.Values(found)), " ")
}

// TestLanguages checks that the login page offers every language that messages are written in, and that each has the
// same words with the same placeholders.
func TestLanguages(t *testing.T) {
	messages, err := filepath.Glob("../text/locales/*.tmpl")
	if err != nil || len(messages) == 0 {
		t.Fatalf("found no languages of messages: %v", err)
	}
	page := readLoginFile(t, "index.html")
	english, englishProblems := readWords(t, "en")
	for _, file := range messages {
		language := strings.TrimSuffix(filepath.Base(file), ".tmpl")
		if !strings.Contains(page, `<option value="`+language+`"`) {
			t.Errorf("the page does not offer %s", language)
		}
		plain, ofProblems := readWords(t, language)
		compareWords(t, language, plain, english)
		compareWords(t, language, ofProblems, englishProblems)
	}
}

func compareWords(t *testing.T, language string, got, want words) {
	t.Helper()
	if got, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("%s has the words %v; want %v", language, got, want)
	}
	for key, text := range got {
		if got, want := placeholders(text), placeholders(want[key]); text == "" || got != want {
			t.Errorf("%s: %s = %q, with the placeholders %q; want %q", language, key, text, got, want)
		}
	}
}

// TestWordsOfProblems checks that the login page has words for every problem.
func TestWordsOfProblems(t *testing.T) {
	_, ofProblems := readWords(t, "en")
	for _, m := range regexp.MustCompile(`(?m)^            - (\w+)$`).FindAllSubmatch(openAPI, -1) {
		if code := string(m[1]); ofProblems[code] == "" {
			t.Errorf("the login page has no words for the problem %s of openapi.yaml", code)
		}
	}
	for _, p := range problems {
		if ofProblems[p.code] == "" {
			t.Errorf("the login page has no words for the problem %s", p.code)
		}
	}
}

// wordUse matches the places of the login page that name a word.
var wordUse = regexp.MustCompile(`data-word="(\w+)"|\bwords\.(\w+)|\bsay\('(\w+)'` +
	`|\b(?:notice|this)\.show\('(\w+)'|\bProblem\('(\w+)'|\bover\('(\w+)'`)

// TestUseOfWords checks that the login page uses all its words, and that the words that it uses exist.
func TestUseOfWords(t *testing.T) {
	english, ofProblems := readWords(t, "en")
	scripts, err := fs.Glob(pageFiles, "pages/login/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("found no scripts: %v", err)
	}
	program := readLoginFile(t, "index.html")
	for _, script := range scripts {
		program += readLoginFile(t, filepath.Base(script))
	}
	for key := range english {
		composed := strings.HasPrefix(key, "delivery_") && strings.Contains(program, "'delivery_' +")
		if !composed && !regexp.MustCompile(`\b`+key+`\b`).MatchString(program) {
			t.Errorf("the word %s is not used", key)
		}
	}
	for _, m := range wordUse.FindAllStringSubmatch(program, -1) {
		key := strings.Join(m[1:], "")
		if key != "problems" && english[key]+ofProblems[key] == "" {
			t.Errorf("the page uses the word %s, which does not exist", key)
		}
	}
}
