package lint

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// targets are where the libraries must compile: people develop on laptops.
var targets = []string{"linux/arm64", "darwin/arm64", "windows/amd64"}

// listedPackage is what the type check needs of `go list -deps -json`.
type listedPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Error           *struct{ Err string }
}

// typeCheck checks packages as the compiler of another system would, and gives
// the errors of each. The standard library would have to be compiled for every
// system (a minute each on two cores); reading its declarations takes seconds.
func typeCheck(t *testing.T, goos, arch string, patterns ...string) map[string][]error {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-e", "-json=ImportPath,Dir,GoFiles,ImportMap,Error"}, patterns...)...)
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s/%s: %v", goos, arch, err)
	}
	found := map[string][]error{}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	set := token.NewFileSet()
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); { // dependencies come first
		var p listedPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		if p.Error != nil {
			found[p.ImportPath] = append(found[p.ImportPath], errors.New(p.Error.Err))
		}
		config := types.Config{
			Importer:         importMap{p.ImportMap, done},
			Sizes:            types.SizesFor("gc", arch),
			IgnoreFuncBodies: !within(p.ImportPath, "prefork"),
			Error:            func(err error) { found[p.ImportPath] = append(found[p.ImportPath], err) },
		}
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		// Its error is the first of those that config.Error has got.
		done[p.ImportPath], _ = config.Check(p.ImportPath, set, parsed, nil)
	}
	return found
}

// importMap resolves imports to packages that are checked already; the
// standard library's own vendored ones have another path.
type importMap struct {
	vendored map[string]string
	done     map[string]*types.Package
}

func (m importMap) Import(path string) (*types.Package, error) {
	if real, ok := m.vendored[path]; ok {
		path = real
	}
	if p := m.done[path]; p != nil {
		return p, nil
	}
	return nil, errors.New("no package " + path)
}

func TestLibrariesCompileElsewhere(t *testing.T) {
	for _, target := range targets {
		t.Run(target, func(t *testing.T) {
			goos, arch, _ := strings.Cut(target, "/")
			patterns := []string{"./worker/...", "./ipc/...", "./sockets/..."}
			if goos == "linux" {
				patterns = append(patterns, "./cmd/...", "./master/...")
			}
			for path, errs := range typeCheck(t, goos, arch, patterns...) {
				t.Errorf("%s: %v", path, errors.Join(errs...))
			}
			if os.Getenv("PREFORK_TEST_FULL") != "1" {
				return
			}
			if text, err := goBuild(t, []string{"GOOS=" + goos, "GOARCH=" + arch}, patterns...); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// master is for Linux and says so in one error, which names Linux. The go
// command gives it before anything is compiled.
func TestMasterSaysThatItIsForLinux(t *testing.T) {
	for _, goos := range []string{"darwin", "windows"} {
		text, err := goBuild(t, []string{"GOOS=" + goos, "GOARCH=amd64"}, "./master")
		if err == nil {
			t.Errorf("%s: ./master builds", goos)
			continue
		}
		// The go command puts who imports what on lines that begin with a tab.
		said := regexp.MustCompile(`\n\t+`).ReplaceAllString(strings.TrimSpace(text), " ")
		if strings.Contains(said, "\n") || !regexp.MustCompile(`(?i)linux`).MatchString(said) {
			t.Errorf("%s: want one error that names Linux, got:\n%s", goos, text)
		}
	}
}
