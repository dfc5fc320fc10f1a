package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root            = ".." // The repository.
	readmeLines     = 250  // At most.
	dictionaryWords = 30   // At most.
)

// documents returns the text of every page by its path from the root of the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := make(map[string]string)
	read := func(name string) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(text)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		read(name)
	}
	err := fs.WalkDir(os.DirFS(root), "docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			read(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|src="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	inline  = regexp.MustCompile("`([^`\n]+)`")
	// placeholder is a part of a name that the reader chooses, such as <name>.
	placeholder = regexp.MustCompile(`<[a-z]+>`)
	mark        = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what GitHub makes of the headings of a page.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		names = append(names, strings.ReplaceAll(mark.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return names
}

// TestLinks checks that every relative link, anchor and picture in the documents exists.
func TestLinks(t *testing.T) {
	pages := documents(t)
	for page, text := range pages {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			target := m[1] + m[2]
			if strings.Contains(target, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			if file = path.Join(path.Dir(page), file); strings.HasPrefix(target, "#") {
				file = page
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s links %s: %v", page, target, err)
			}
			if anchor != "" && !slices.Contains(anchors(pages[file]), anchor) {
				t.Errorf("%s links %s; the headings there are %q", page, target, anchors(pages[file]))
			}
		}
	}
}

// TestReadme checks that README.md is short and leads to every page.
func TestReadme(t *testing.T) {
	pages := documents(t)
	readme := pages["README.md"]
	if n := strings.Count(readme, "\n"); n > readmeLines {
		t.Errorf("README.md has %d lines; want at most %d", n, readmeLines)
	}
	for page := range pages {
		if page != "README.md" && !strings.Contains(readme, "]("+page+")") {
			t.Errorf("README.md does not link %s", page)
		}
	}
}

// TestFiles checks that a document links every file that the service serves beside the documents.
func TestFiles(t *testing.T) {
	linked := make(map[string]bool)
	for page, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			linked[path.Join(path.Dir(page), m[1])] = true
		}
	}
	files := Files()
	if len(files) == 0 {
		t.Fatal("there are no files; want those of docs/deploy")
	}
	for _, f := range files {
		if !linked["docs/"+f.Name] {
			t.Errorf("no document links docs/%s", f.Name)
		}
	}
}

// TestPictures checks that the documents show every picture.
func TestPictures(t *testing.T) {
	var shown []string
	for page, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if m[2] != "" {
				shown = append(shown, path.Join(path.Dir(page), m[2]))
			}
		}
	}
	pictures, err := filepath.Glob("pictures/*")
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, picture := range pictures {
		if !slices.Contains(shown, "docs/"+filepath.ToSlash(picture)) {
			t.Errorf("no document shows docs/%s", picture)
		}
	}
}

// TestClients checks that each client sends back what keeps strangers from its attempts, and offers the field for a
// code that is live, with as many digits as it has.
func TestClients(t *testing.T) {
	sent, offered := []string{"request_id", "device_token"}, []string{"code_live", "code_length"}
	all := slices.Concat(sent, offered)
	pages := documents(t)
	for page, names := range map[string][]string{
		"javascript.md":   all,
		"react-native.md": offered, // the module of the JavaScript client sends
		"kotlin.md":       all,
		"flutter.md":      all,
		"swift.md":        slices.Concat(sent, []string{"codeLive", "codeLength"}), // as the decoder converts them
	} {
		programs := strings.Join(fenced.FindAllString(pages["docs/clients/"+page], -1), "")
		for _, name := range names {
			if !strings.Contains(programs, name) {
				t.Errorf("the program of docs/clients/%s does not have %s", page, name)
			}
		}
	}
}

// TestDictionary checks that the dictionary stays short.
func TestDictionary(t *testing.T) {
	_, section, found := strings.Cut(documents(t)["docs/architecture.md"], "## The dictionary\n")
	section, _, _ = strings.Cut(section, "\n## ")
	words := regexp.MustCompile(`(?m)^\| [a-z]+ \|`).FindAllString(section, -1)
	if !found || len(words) == 0 || len(words)-1 > dictionaryWords {
		t.Errorf("the dictionary has %d words; want 1 to %d", len(words)-1, dictionaryWords)
	}
}

var (
	// qualified is the name of a declaration, such as otp.Policy or otp.Service.Verify.
	qualified = regexp.MustCompile(`^([a-z0-9]+)\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$`)
	fileName  = regexp.MustCompile(`^[\w./*-]+\.(go|lua|sql|js|css|html|md|ya?ml|tmpl|json)$`)
	// placed is a declaration with its file: `otp.Policy` in `internal/otp/challenge.go`.
	placed = regexp.MustCompile("`([\\w.]+)`\\s+in\\s+`([\\w/.-]+\\.go)`")
)

// TestNamesExist checks that the files, packages and declarations that the pages for developers name exist, and that a
// declaration is in the file that is named with it.
func TestNamesExist(t *testing.T) {
	files, declared := source(t)
	packages := make(map[string]bool)
	for name := range declared {
		pkg, _, _ := strings.Cut(name, ".")
		packages[pkg] = true
	}
	isFolder := func(top string) bool {
		return slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, top+"/") })
	}
	exists := func(name string) bool {
		top, _, isPath := strings.Cut(name, "/")
		switch {
		case strings.Contains(name, " "):
			return true // a command
		case isPath && isFolder(top):
			found, _ := filepath.Glob(filepath.Join(root, name))
			return len(found) > 0
		case fileName.MatchString(name):
			isNamed := func(f string) bool { ok, _ := path.Match(name, path.Base(f)); return ok }
			return slices.ContainsFunc(files, isNamed)
		case qualified.MatchString(name) && packages[qualified.FindStringSubmatch(name)[1]]:
			return declared[name] != nil
		}
		return true
	}
	pages := documents(t)
	for _, page := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		text := fenced.ReplaceAllString(pages[page], "")
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			name := placeholder.ReplaceAllString(strings.TrimSuffix(m[1], "()"), "*")
			if !exists(name) {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
		for _, m := range placed.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(declared[m[1]], m[2]) {
				t.Errorf("%s has %s in %s; it is declared in %v", page, m[1], m[2], declared[m[1]])
			}
		}
	}
}

// TestPackages checks that the architecture says what each package owns.
func TestPackages(t *testing.T) {
	page := documents(t)["docs/architecture.md"]
	folders, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if folder.IsDir() && !strings.Contains(page, "`internal/"+folder.Name()+"`") {
			t.Errorf("docs/architecture.md does not name internal/%s", folder.Name())
		}
	}
}

// source returns the files of the repository, and the files of every declaration, which is named package.Name,
// package.Type.Method or package.Type.Field.
func source(t *testing.T) (files []string, declared map[string][]string) {
	t.Helper()
	declared = make(map[string][]string)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "node_modules", "data"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		files = append(files, name)
		if strings.HasSuffix(name, ".go") {
			path := filepath.Join(root, name)
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range declarations(parsed) {
				declared[d] = append(declared[d], name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, declared
}

// declarations returns the names of what a file declares.
func declarations(file *ast.File) (names []string) {
	in := file.Name.Name + "."
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, in+receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range specNames(spec) {
					names = append(names, in+name)
				}
			}
		}
	}
	return names
}

// specNames returns the names of a type with its members, or of constants or variables.
func specNames(spec ast.Spec) (names []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		names = append(names, spec.Name.Name)
		for _, member := range members(spec.Type) {
			names = append(names, spec.Name.Name+"."+member)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// receiver returns "Type." for a method, and nothing for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// members returns the fields of a struct, or the methods of an interface.
func members(kind ast.Expr) (names []string) {
	var list *ast.FieldList
	switch kind := kind.(type) {
	case *ast.StructType:
		list = kind.Fields
	case *ast.InterfaceType:
		list = kind.Methods
	default:
		return nil
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}
