package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestLiterals checks that a literal with keys, if it has several lines, has one field or entry a line.
func TestLiterals(t *testing.T) {
	files := token.NewFileSet()
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() != ".." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		line := func(p token.Pos) int { return files.Position(p).Line }
		for node := range ast.Preorder(file) {
			literal, ok := node.(*ast.CompositeLit)
			if !ok || line(literal.Lbrace) == line(literal.Rbrace) {
				continue
			}
			found++
			for i, element := range literal.Elts {
				_, keyed := element.(*ast.KeyValueExpr)
				if keyed && i > 0 && line(literal.Elts[i-1].End()) == line(element.Pos()) {
					t.Errorf("%s: put each field on a line of its own", files.Position(element.Pos()))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no literal was found")
	}
}
