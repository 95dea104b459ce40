package reference_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A warning or an error of the master's log has a row for the person who reads
// it at night.
func TestWarningsAreInTroubleshooting(t *testing.T) {
	page, err := os.ReadFile("../how-to/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../master/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, path), func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Warn" && sel.Sel.Name != "Error" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			found++
			if text := unquote(lit); !strings.Contains(string(page), "`"+text+"`") {
				t.Errorf("%s logs %q, which docs/how-to/troubleshooting.md does not explain", filepath.Base(path), text)
			}
			return true
		})
	}
	if found == 0 {
		t.Error("the master logs nothing")
	}
}
