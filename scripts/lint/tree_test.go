package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// source is one Go file of the repository.
type source struct {
	Path string // from the root, with slashes
	Test bool
	AST  *ast.File
	set  *token.FileSet
}

// at gives the place of a node as an editor takes it.
func (s source) at(n ast.Node) string {
	p := s.set.Position(n.Pos())
	return s.Path + ":" + itoa(p.Line)
}

// root is the folder of go.mod.
var root = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		panic("lint: go env GOMOD: " + err.Error())
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
})

// files gives the paths from the root of all files with a suffix. Hidden
// folders and what is installed for browser tests are no part of the project.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root() && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, suffix) {
			rel, err := filepath.Rel(root(), path)
			if err != nil {
				return err
			}
			found = append(found, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var parsed struct {
	once    sync.Once
	sources []source
}

// sources gives all Go files, parsed once, whatever their build tags say.
func sources(t *testing.T) []source {
	t.Helper()
	parsed.once.Do(func() {
		for _, path := range files(t, ".go") {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, filepath.Join(root(), path), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			parsed.sources = append(parsed.sources, source{path, strings.HasSuffix(path, "_test.go"), f, set})
		}
	})
	return parsed.sources
}

// imports reports whether the file imports a package.
func (s source) imports(path string) bool {
	for _, i := range s.AST.Imports {
		if i.Path.Value == `"`+path+`"` {
			return true
		}
	}
	return false
}

// read gives a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exceptions are the places where a rule does not hold, each with its reason.
type exceptions map[string]string

// rule collects what breaks a rule; end reports it, with the exceptions that
// nothing needs.
type rule struct {
	t      *testing.T
	except exceptions
	used   map[string]bool
}

func newRule(t *testing.T, except exceptions) *rule {
	return &rule{t, except, map[string]bool{}}
}

// broken reports a place, unless the key is an exception.
func (r *rule) broken(key, at, what string) {
	r.t.Helper()
	if _, ok := r.except[key]; ok {
		r.used[key] = true
		return
	}
	r.t.Errorf("%s: %s", at, what)
}

func (r *rule) end() {
	r.t.Helper()
	for key, why := range r.except {
		if !r.used[key] {
			r.t.Errorf("the exception for %s (%s) is not needed any more", key, why)
		}
	}
}
