package reference_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	contractPage = "worker-contract.md"
	contractCode = "../../ipc/contract.go"
	messageCode  = "../../ipc/notify/message.go"
)

func TestVariablesAreInTheContract(t *testing.T) {
	same(t, "variables", firstColumn(t, contractPage, "## Variables"), values(constants(t, contractCode, "Env")))
}

func TestDescriptorsAreInTheContract(t *testing.T) {
	same(t, "names in PREFORK_FDS", firstColumn(t, contractPage, "## PREFORK_FDS"), values(constants(t, contractCode, "FD")))
	start := constants(t, contractCode, "ListenFDStart")["ListenFDStart"]
	if !slices.Contains(firstColumn(t, contractPage, "## Descriptors"), start+" ...") {
		t.Errorf("the page does not begin the listeners at %s", start)
	}
}

func TestLifelineBytesAreInTheContract(t *testing.T) {
	same(t, "bytes", firstColumn(t, contractPage, "### Bytes on the lifeline"), values(constants(t, contractCode, "Lifeline")))
}

// What a worker may say is what the parser knows, and its bounds are the
// parser's.
func TestDatagramsAreInTheContract(t *testing.T) {
	var page []string
	for _, cell := range firstColumn(t, contractPage, "## Datagrams") {
		name, _, _ := strings.Cut(cell, "=")
		page = append(page, name)
	}
	var code []string
	ast.Inspect(function(t, messageCode, "assign"), func(n ast.Node) bool {
		if c, ok := n.(*ast.CaseClause); ok {
			for _, e := range c.List {
				if lit, ok := e.(*ast.BasicLit); ok && unquote(lit) != "RELOADING" { // read, and without effect
					code = append(code, unquote(lit))
				}
			}
		}
		return true
	})
	slices.Sort(code)
	same(t, "datagrams", page, code)

	text := section(t, contractPage, "## Datagrams")
	for name, value := range constants(t, messageCode, "Max") {
		if !strings.Contains(text, value+" bytes") {
			t.Errorf("the page does not say %s, %s bytes", name, value)
		}
	}
}

func TestExitStatusForGoodIsInTheContract(t *testing.T) {
	status := constants(t, "../../master/internal/pool/config.go", "exitForGood")["exitForGood"]
	if !slices.Contains(firstColumn(t, contractPage, "## Exit status"), status) {
		t.Errorf("the page does not explain status %s", status)
	}
}
