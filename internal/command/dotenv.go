package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/joho/godotenv"

	"dekamond-otp/internal/setting"
)

const (
	dotEnv  = ".env"
	maxFile = 64 << 10 // bytes
)

// readDotEnv returns the variables in the file .env, or none if there is no such file. It reads the file once, because
// a password manager may offer it as a pipe. The error is a setting.Faults that names the line of the fault and quotes
// nothing of it, because it may hold a secret. The variables above that line are then returned.
func readDotEnv() (map[string]string, error) {
	f, err := os.Open(dotEnv)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dotEnv); err == nil {
			return nil, fault("is a link to a file that does not exist")
		}
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fault("is a folder; it must be a file with one NAME=value a line")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(text) > maxFile:
		return nil, fault("has more than %d bytes; it must have one NAME=value a line", maxFile)
	}
	return parse(string(text))
}

func unreadable(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return fault("cannot be read: %w", err)
}

func fault(format string, args ...any) error {
	return setting.Faults{{Variable: dotEnv, Problem: fmt.Errorf(format, args...).Error()}}
}

// parse reads the text of a .env file as godotenv does, which names no lines. It finds the line of a fault by giving
// godotenv one statement after the other.
func parse(text string) (map[string]string, error) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.Contains(text, "\x00") {
		return nil, fault("is no UTF-8 text, perhaps UTF-16, which some editors and PowerShell write; save it as UTF-8")
	}
	lines := slices.Collect(strings.Lines(strings.TrimPrefix(text, "\ufeff"))) // the byte order mark of UTF-8
	for n := 0; n < len(lines); {
		count, problem := readStatement(lines[n:], n+1)
		for i, line := range lines[n : n+count] {
			if !utf8.ValidString(line) {
				problem = fmt.Sprintf("line %d has bytes that are not UTF-8; save the file as UTF-8", n+1+i)
			}
		}
		if problem != "" {
			above, _ := godotenv.Unmarshal(strings.Join(lines[:n], ""))
			return above, fault("%s", problem)
		}
		n += count
	}
	variables, err := godotenv.Unmarshal(strings.Join(lines, "")) // at once: a value can name a variable above it
	if err != nil {
		return nil, fault("must have one NAME=value a line")
	}
	return variables, nil
}

// readStatement reads the first statement of the lines, and returns how many lines it has. A value in quotes can have
// several. If the statement has a fault, the problem names its line; the first line has the number first.
func readStatement(lines []string, first int) (count int, problem string) {
	var text strings.Builder
	for i, line := range lines {
		text.WriteString(line)
		variables, err := godotenv.Unmarshal(text.String())
		switch {
		case err == nil:
			return i + 1, problemOfNames(slices.Collect(maps.Keys(variables)), first)
		case strings.HasPrefix(err.Error(), "unterminated"): // the quote may end in a later line
		case i > 0:
			return 0, fmt.Sprintf("line %d opens a quote, and line %d has text behind the end of it", first, first+i)
		default:
			return 0, fmt.Sprintf("line %d %s", first, problemOfLine(line))
		}
	}
	return 0, fmt.Sprintf("line %d opens a quote that nothing closes", first)
}

// problemOfNames returns what is wrong with the names of a statement that godotenv accepts, or "". It takes a last line
// without = for the value of a variable without a name.
func problemOfNames(names []string, line int) string {
	for _, name := range names {
		switch {
		case name == "":
			return fmt.Sprintf("line %d must have the form NAME=value", line)
		case strings.ContainsFunc(name, func(r rune) bool { return r == ' ' || r == '\t' }):
			return fmt.Sprintf("line %d has a space in the name before the =", line)
		}
	}
	return ""
}

var nameAndSign = regexp.MustCompile(`^\s*(export\s+)?[A-Za-z0-9_.]+\s*[=:]`)

// problemOfLine returns why godotenv refuses a line.
func problemOfLine(line string) string {
	switch {
	case !strings.ContainsAny(line, "=:"):
		return "must have the form NAME=value"
	case nameAndSign.MatchString(line):
		return "has text behind the quote that ends its value"
	}
	return "has something else than letters, digits and _ before the =, which may be invisible"
}
