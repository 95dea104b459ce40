package lint

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pkg is a package as `go list -json` shows it.
type pkg struct {
	ImportPath string
	Imports    []string // direct, without tests
	Deps       []string // all
}

var listed struct {
	once sync.Once
	pkgs []pkg
}

// packages lists the packages of the module as they are built for Linux.
func packages(t *testing.T) []pkg {
	t.Helper()
	listed.once.Do(func() {
		cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
		cmd.Dir = root()
		cmd.Env = append(cmd.Environ(), "GOOS=linux", "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, err.(*exec.ExitError).Stderr)
		}
		for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
			var p pkg
			if err := d.Decode(&p); err != nil {
				t.Fatal(err)
			}
			listed.pkgs = append(listed.pkgs, p)
		}
	})
	if len(listed.pkgs) == 0 {
		t.Fatal("go list lists nothing")
	}
	return listed.pkgs
}

// within reports whether a package is a tree's root or below it.
func within(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}

// reasons maps a tree of packages to why it must not be reached.
type reasons map[string]string

// forbiddenDeps: what no package of a tree may depend on, however indirectly.
var forbiddenDeps = map[string]reasons{
	"prefork/ipc": {
		"prefork/master":                "ipc is the contract between master and worker, and knows neither",
		"prefork/worker":                "ipc is the contract between master and worker, and knows neither",
		"prefork/cmd":                   "ipc is a library",
		"prefork/sockets":               "ipc and sockets are used together by others, never by each other",
		"github.com/hashicorp/go-hclog": "libraries return errors; only master and cmd log",
	},
	"prefork/sockets": {
		"prefork/master":                "sockets serves master and worker, and knows neither",
		"prefork/worker":                "sockets serves master and worker, and knows neither",
		"prefork/cmd":                   "sockets is a library",
		"prefork/ipc":                   "ipc and sockets are used together by others, never by each other",
		"github.com/hashicorp/go-hclog": "libraries return errors; only master and cmd log",
	},
	"prefork/worker": {
		"prefork/master":                "master and worker meet in ipc alone",
		"prefork/cmd":                   "the worker library is linked into other people's programs",
		"github.com/hashicorp/go-hclog": "libraries return errors; only master and cmd log",
		"github.com/spf13":              "an application that imports worker links no command line",
		"github.com/pelletier/go-toml":  "an application that imports worker links no TOML",
		"github.com/redis":              "a Redis client is linked by an application that imports ipc/redis, and by no other",
		"text/template":                 "templates switch off the linker's method pruning in every application",
		"html/template":                 "templates switch off the linker's method pruning in every application",
	},
	"prefork/master": {
		"prefork/worker": "master and worker meet in ipc alone",
		"prefork/cmd":    "cmd starts the master, not the other way round",
		"os/exec": "one blocked Wait per child is a thread per child, and it would take exit statuses " +
			"from the one owner of wait",
	},
}

// forbiddenImports: what no package of a tree may import itself.
var forbiddenImports = map[string]reasons{
	"prefork/master/internal/pool": {
		"os":         "the decision does no I/O",
		"os/exec":    "the decision does no I/O",
		"os/signal":  "the decision does no I/O",
		"net":        "the decision does no I/O",
		"sync":       "the decision has no goroutine and no lock",
		"context":    "the decision waits for nothing",
		"math/rand":  "the decision is a function of its input",
		"prefork":    "the decision is standard library only",
		"golang.org": "the decision is standard library only",
		"github.com": "the decision is standard library only",
	},
	"prefork/master/helper": {
		"prefork/master": "a helper parses bytes from outside and imports ipc and sockets only",
	},
}

// Sessions are a package of their own, for applications that want them.
func TestWorkerAloneLinksNoSessions(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "prefork/worker" {
			for _, dep := range p.Deps {
				if within(dep, "github.com/alexedwards") {
					t.Errorf("%s reaches %s", p.ImportPath, dep)
				}
			}
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for tree, forbidden := range forbiddenDeps {
		check(t, tree, forbidden, func(p pkg) []string { return p.Deps })
	}
	for tree, forbidden := range forbiddenImports {
		check(t, tree, forbidden, func(p pkg) []string { return p.Imports })
	}
}

func check(t *testing.T, tree string, forbidden reasons, reached func(pkg) []string) {
	t.Helper()
	for _, p := range packages(t) {
		if !within(p.ImportPath, tree) {
			continue
		}
		for _, dep := range reached(p) {
			for bad, why := range forbidden {
				if within(dep, bad) && !within(dep, tree) {
					t.Errorf("%s reaches %s: %s", p.ImportPath, dep, why)
				}
			}
		}
	}
}

// The product depends on these modules alone (and on what they need); a new
// one is a decision, made here.
var modules = reasons{
	"github.com/hashicorp/go-hclog":        "the log of master and cmd",
	"github.com/spf13/cobra":               "the command line",
	"github.com/spf13/pflag":               "the command line",
	"github.com/pelletier/go-toml/v2":      "the config file",
	"golang.org/x/sys":                     "system calls",
	"github.com/dchest/siphash":            "the store's keyed hash",
	"github.com/redis/go-redis/v9":         "the store over Redis, for the demo and the store commands",
	"github.com/alexedwards/scs/v2":        "sessions, for the demo",
	"github.com/cespare/xxhash/v2":         "of go-redis",
	"go.uber.org/atomic":                   "of go-redis",
	"github.com/fatih/color":               "of go-hclog",
	"github.com/mattn/go-isatty":           "of go-hclog",
	"github.com/mattn/go-colorable":        "of go-hclog",
	"github.com/inconshreveable/mousetrap": "of cobra, on Windows",
}

func TestBinaryLinksKnownModules(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != "prefork/cmd/prefork" {
			continue
		}
		for _, dep := range p.Deps {
			host, _, _ := strings.Cut(dep, "/")
			if !strings.Contains(host, ".") || host == "vendor" {
				continue // of the standard library
			}
			if !slices.ContainsFunc(keys(modules), func(m string) bool { return within(dep, m) }) {
				t.Errorf("cmd/prefork links %s, of a module that is not in the list", dep)
			}
		}
		return
	}
	t.Error("there is no cmd/prefork")
}

func keys(m reasons) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}
