package lint

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// method gives the name of a method or package function that is called, and
// the expression it is called on.
func method(n ast.Node) (call *ast.CallExpr, on ast.Expr, name string) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, nil, ""
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		return call, sel.X, sel.Sel.Name
	}
	return call, nil, ""
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// (*net.TCPListener).File and (*os.File).Fd clear O_NONBLOCK on the open file
// description, which every worker shares (golang/go#29277, #43894): a worker
// then sits in a blocking accept. Sockets are made by raw system calls and
// passed as plain numbers. A test may take the number of a file of its own.
func TestNobodyTakesFileOrFd(t *testing.T) {
	r := newRule(t, exceptions{})
	for _, s := range sources(t) {
		ast.Inspect(s.AST, func(n ast.Node) bool {
			call, _, name := method(n)
			if call == nil || len(call.Args) > 0 || name != "File" && (name != "Fd" || s.Test) {
				return true
			}
			r.broken(s.Path, s.at(n), "calls ."+name+"()")
			return true
		})
	}
	r.end()
}

// What needs unsafe is in files that say so by their name, and is read twice.
func TestUnsafeIsInUnsafeFilesOnly(t *testing.T) {
	for _, s := range sources(t) {
		if s.imports("unsafe") && !strings.Contains(path.Base(s.Path), "_unsafe") {
			t.Errorf("%s imports unsafe; its name must contain _unsafe", s.Path)
		}
		for _, group := range s.AST.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:linkname") {
					t.Errorf("%s: go:linkname", s.at(c))
				}
			}
		}
	}
}

// A sleep is a guess. Tests and programs wait for a line, a byte or a state,
// with a deadline.
func TestNobodySleeps(t *testing.T) {
	r := newRule(t, exceptions{
		"scripts/faults/load_roles_test.go": "a worker whose handler takes as long as the request says",
	})
	for _, s := range sources(t) {
		ast.Inspect(s.AST, func(n ast.Node) bool {
			if _, on, name := method(n); name == "Sleep" && isName(on, "time") {
				r.broken(s.Path, s.at(n), "calls time.Sleep")
			}
			return true
		})
	}
	r.end()
}

// A skipped test says what is missing; scripts/test lists it.
func TestSkipsSayWhatIsMissing(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.AST, func(n ast.Node) bool {
			call, _, name := method(n)
			if name == "SkipNow" {
				t.Errorf("%s: SkipNow says no reason", s.at(n))
			}
			if (name == "Skip" || name == "Skipf") && s.imports("testing") {
				if len(call.Args) == 0 || !missing(call.Args[0]) {
					t.Errorf("%s: the reason of a skip says what is missing, or what it needs", s.at(n))
				}
			}
			return true
		})
	}
}

func missing(e ast.Expr) bool {
	if sum, ok := e.(*ast.BinaryExpr); ok {
		return missing(sum.X)
	}
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING &&
		(strings.Contains(lit.Value, "missing") || strings.Contains(lit.Value, " needs "))
}

// hclog takes key and value in turns and only notices at run time when one is
// missing; what is searched for in logs must not vary.
func TestLogCallsAreConstantAndPaired(t *testing.T) {
	kebab := regexp.MustCompile(`^"[a-z][a-z0-9]*(-[a-z0-9]+)*"$`)
	levels := map[string]bool{"Trace": true, "Debug": true, "Info": true, "Warn": true, "Error": true}
	for _, s := range sources(t) {
		if s.Test || !s.imports("github.com/hashicorp/go-hclog") {
			continue
		}
		ast.Inspect(s.AST, func(n ast.Node) bool {
			call, on, name := method(n)
			if on == nil || !levels[name] || isName(on, "hclog") || len(call.Args) == 0 {
				return true
			}
			if msg, ok := call.Args[0].(*ast.BasicLit); !ok || msg.Value != lowerFirst(msg.Value) {
				t.Errorf("%s: a log message is a constant in lower case", s.at(n))
			}
			pairs := call.Args[1:]
			if call.Ellipsis.IsValid() {
				return true
			}
			if len(pairs)%2 != 0 {
				t.Errorf("%s: a log call has a key without a value", s.at(n))
			}
			for i := 0; i < len(pairs); i += 2 {
				if key, ok := pairs[i].(*ast.BasicLit); !ok || !kebab.MatchString(key.Value) {
					t.Errorf("%s: a log key is a constant-in-kebab-case", s.at(pairs[i]))
				}
			}
			return true
		})
	}
}

// lowerFirst lowers the first letter of a quoted string, unless a name in
// capitals starts there ("STATUS", "HUP").
func lowerFirst(quoted string) string {
	if len(quoted) < 3 || strings.ToUpper(quoted[1:3]) == quoted[1:3] {
		return quoted
	}
	return quoted[:1] + strings.ToLower(quoted[1:2]) + quoted[2:]
}
