package reference_test

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const signalsPage = "signals.md"

// cases gives the signals that the cases of a function's switch name.
func cases(f *ast.FuncDecl) []string {
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CaseClause); ok {
			for _, e := range c.List {
				names = append(names, signalNames(e)...)
			}
		}
		return true
	})
	slices.Sort(names)
	return names
}

func TestSignalsOfTheMasterAreInTheTable(t *testing.T) {
	const code = "../../master/signals.go"
	handled := cases(function(t, code, "signalled"))
	same(t, "handled", firstColumn(t, signalsPage, "## To the master"), handled)

	var ignored []string
	for _, name := range signalNames(function(t, code, "open")) {
		if name != "CHLD" && !slices.Contains(handled, name) { // CHLD is the master's own affair
			ignored = append(ignored, name)
		}
	}
	m := regexp.MustCompile(`(?s)debug log: (.*?)\.\n`).FindStringSubmatch(section(t, signalsPage, "## To the master"))
	if m == nil {
		t.Fatal("the page does not say which signals are ignored")
	}
	told := strings.Fields(strings.ReplaceAll(m[1], ",", " "))
	slices.Sort(told)
	same(t, "ignored", told, ignored)
}

func TestSignalsOfGoWorkersAreInTheTable(t *testing.T) {
	caught := append(signalNames(function(t, "../../worker/join_linux.go", "catchSignals")), "the stop signal")
	same(t, "caught by a Go worker", firstColumn(t, signalsPage, "## To a worker"), caught)
}
