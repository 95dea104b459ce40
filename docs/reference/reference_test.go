// Package reference_test compares the tables of the reference with the code
// that they describe.
package reference_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// section gives the text of a page below a heading, up to the next heading of
// any level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	if at := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(rest); at != nil {
		rest = rest[:at[0]]
	}
	return rest
}

// firstColumn gives the first cell of every row of a section's tables, sorted,
// without its backticks; headers are left out.
func firstColumn(t *testing.T, page, heading string) []string {
	t.Helper()
	var cells []string
	lines := strings.Split(section(t, page, heading), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---") {
			continue
		}
		cells = append(cells, strings.Trim(strings.TrimSpace(strings.Split(line, "|")[1]), "`"))
	}
	slices.Sort(cells)
	return cells
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants gives the constants of a file whose names have a prefix, by name,
// as they stand in the source, unquoted.
func constants(t *testing.T, path, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	ast.Inspect(parse(t, path), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if lit, ok := literal(spec, i); ok && strings.HasPrefix(name.Name, prefix) {
				found[name.Name] = lit
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no constant %s...", path, prefix)
	}
	return found
}

func literal(spec *ast.ValueSpec, i int) (string, bool) {
	if i >= len(spec.Values) {
		return "", false
	}
	lit, ok := spec.Values[i].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	return unquote(lit), true
}

func unquote(lit *ast.BasicLit) string {
	switch lit.Kind {
	case token.STRING, token.CHAR:
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return lit.Value
}

func values(m map[string]string) []string {
	var list []string
	for _, v := range m {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

func same(t *testing.T, what string, page, code []string) {
	t.Helper()
	if !slices.Equal(page, code) {
		t.Errorf("%s: the page has\n\t%v\nthe code has\n\t%v", what, page, code)
	}
}

// signalNames gives the SIG... selectors below a node, without the prefix,
// sorted.
func signalNames(n ast.Node) []string {
	var names []string
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := strings.CutPrefix(sel.Sel.Name, "SIG"); ok {
				names = append(names, name)
			}
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// function gives the declaration of a function or method of a file.
func function(t *testing.T, path, name string) *ast.FuncDecl {
	t.Helper()
	for _, d := range parse(t, path).Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			return f
		}
	}
	t.Fatalf("%s has no function %s", path, name)
	return nil
}
