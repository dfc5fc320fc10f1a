package text

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// The shipped templates. In Persian and Arabic the code has a line of its own, where it reads from left to right and
// can be copied without an invisible character. Every other line begins with a word of the script, which makes the
// whole line run from right to left, even around a Latin name (Unicode UAX #9, P2 and P3). The name therefore needs
// no isolates, which would take two characters of seventy.
//
//go:embed locales/*.tmpl
var shipped embed.FS

const (
	extension = ".tmpl"
	maxFile   = 64 << 10 // bytes
)

// variants are the endings of the names of a purpose's templates, the longest text first. Only the first is required.
var variants = []string{"", "_short", "_shortest"}

// templates are the templates of a file, by name. Only the parser of text/template is used: its execution calls methods
// by name, for which the linker keeps every method of the program, 11 MB. The nodes that message.write understands are
// enough for a message, and have neither loops nor functions that could fail.
type templates map[string]*parse.Tree

// load adds the templates of a folder to files, by locale. For each purpose in a file it replaces all variants of the
// locale, so that every variant of a message is by one author.
func load(files map[string]templates, folder fs.FS, dir string) error {
	entries, err := fs.ReadDir(folder, dir)
	if err != nil {
		return short(err)
	}
	found := false
	for _, e := range entries {
		locale, ok := strings.CutSuffix(e.Name(), extension)
		if !ok {
			continue
		}
		found = true
		if err := checkTag(locale); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		own, err := parseFile(folder, path.Join(dir, e.Name()))
		if err == nil {
			err = own.complete(files[locale])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		files[locale] = own
	}
	if !found {
		return errors.New("no " + extension + " file")
	}
	return nil
}

// short leaves out the path, because the caller names it.
func short(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// checkTag accepts a language tag in its canonical form alone, so that no two files have the same locale.
func checkTag(locale string) error {
	tag, err := language.Parse(locale)
	if root, _, _ := tag.Raw(); err != nil || root.String() == "und" {
		return errors.New("the name is no language tag, such as az or pt-BR")
	}
	if tag.String() != locale {
		return fmt.Errorf("the name has to be %s%s", tag, extension)
	}
	return nil
}

// parseFile refuses text outside of templates, and templates that are not used, because both would go unnoticed.
func parseFile(folder fs.FS, name string) (templates, error) {
	text, err := read(folder, name)
	if err != nil {
		return nil, short(err)
	}
	file := path.Base(name)
	t, err := parse.Parse(file, text, "", "")
	if err != nil {
		return nil, err
	}
	if outside := t[file]; outside != nil && !parse.IsEmptyTree(outside.Root) {
		return nil, errors.New("text outside of {{define}}")
	}
	delete(t, file)
	return t, checkNames(t)
}

// read returns the text of a file, its line ends as \n.
func read(folder fs.FS, name string) (string, error) {
	if info, err := fs.Stat(folder, name); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errors.New("not a file")
	}
	f, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("more than %d bytes", maxFile)
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r\n", "\n"), nil
}

// complete adds the templates of each purpose that t does not have from others.
func (t templates) complete(others templates) error {
	for _, purpose := range purposes {
		own := slices.ContainsFunc(variants, func(v string) bool { return t[purpose+v] != nil })
		for _, v := range variants {
			if other := others[purpose+v]; other != nil && !own {
				t[purpose+v] = other
			}
		}
		if t[purpose] == nil {
			return fmt.Errorf("no template %q", purpose)
		}
	}
	return nil
}

func checkNames(t templates) error {
	var known []string
	for _, purpose := range purposes {
		for _, v := range variants {
			known = append(known, purpose+v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown template %q", name)
		}
	}
	return nil
}

// choose returns the variant that costs least, or the longest of several that cost the same.
func (o Options) choose(t templates, purpose string) (message, error) {
	var chosen message
	for _, v := range variants {
		tree := t[purpose+v]
		if tree == nil {
			continue
		}
		m, err := o.render(tree)
		if err != nil {
			return message{}, fmt.Errorf("%s: %s %w", tree.ParseName, tree.Name, err)
		}
		if chosen.pieces == nil || m.price < chosen.price {
			chosen = m
		}
	}
	return chosen, nil
}

// A message consists of pieces, with the code between them.
type message struct {
	pieces                      []string
	segments, characters, bytes int
	price                       int // in segments
}

// maxBytes is the greatest length of a message to Android's SMS Retriever. Google does not state the encoding
// (developers.google.com/identity/sms-retriever/verify). UTF-8 is the strictest reading for the shipped scripts; in
// the encoding of the network, 140 bytes are one segment.
const maxBytes = 140

// render executes the template and adds the lines for Android and for browsers.
func (o Options) render(t *parse.Tree) (message, error) {
	m := message{pieces: []string{""}}
	f := fields{
		codeField:  "its place",
		".App":     o.App,
		".Minutes": strconv.Itoa(o.minutes),
	}
	if unknown := m.write(t.Root, f); unknown != nil {
		return message{}, fmt.Errorf("has %s, but only .Code, .App, .Minutes and if can be used", unknown)
	}
	last := len(m.pieces) - 1
	if last == 0 {
		return message{}, errors.New("does not show the code")
	}
	m.pieces[0] = strings.TrimLeftFunc(m.pieces[0], unicode.IsSpace)
	m.pieces[last] = strings.TrimRightFunc(m.pieces[last], unicode.IsSpace)
	if o.AndroidHash != "" {
		m.pieces[last] += "\n" + o.AndroidHash
	}
	if o.Origin != "" { // must be the last line (WICG sms-one-time-codes §3.1)
		m.pieces[last] += "\n@" + o.Origin + " #"
		m.pieces = append(m.pieces, "")
	}
	whole := strings.Join(m.pieces, strings.Repeat("0", o.digits))
	isControl := func(r rune) bool { return r != '\n' && unicode.IsControl(r) }
	if !utf8.ValidString(whole) || strings.ContainsFunc(whole, isControl) {
		return message{}, errors.New("has a control character or is not UTF-8")
	}
	m.bytes = len(whole)
	m.segments, m.characters = measure(whole)
	m.price = m.segments
	if o.AndroidHash != "" && m.bytes > maxBytes {
		m.price = max(m.price, 2) // typing a code by hand counts as much as a segment
	}
	return m, nil
}

// fields are the values that a template can use: the code in ASCII digits, the app's name, which may be empty, and the
// life of the code in whole minutes, at least one.
type fields map[string]string

const codeField = ".Code"

// write appends the nodes to m. It returns the first node that is neither text, nor a field, nor an if with a field.
func (m *message) write(list *parse.ListNode, f fields) (unknown parse.Node) {
	if list == nil { // an if without an else
		return nil
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			m.pieces[len(m.pieces)-1] += string(n.Text)
		case *parse.ActionNode:
			field := n.Pipe.String()
			value, ok := f[field]
			switch {
			case !ok:
				return n
			case field == codeField:
				m.pieces = append(m.pieces, "")
			default:
				m.pieces[len(m.pieces)-1] += value
			}
		case *parse.IfNode:
			value, ok := f[n.Pipe.String()]
			if !ok {
				return n.Pipe
			}
			branch := n.List
			if value == "" {
				branch = n.ElseList
			}
			if unknown := m.write(branch, f); unknown != nil {
				return unknown
			}
		default:
			return n
		}
	}
	return nil
}
