//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Prefork gives the path of the binary under test, built once a run.
// PREFORK_TEST_BINARY names one that is built already.
func Prefork(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PREFORK_TEST_BINARY"); path != "" {
		return path
	}
	return Build(t, "./cmd/prefork", false)
}

// PreforkRace is Prefork with the race detector; what it finds fails the test
// that ran it.
func PreforkRace(t testing.TB) string {
	t.Helper()
	return Build(t, "./cmd/prefork", true)
}

// Build gives the path of the program in a package of this module, given
// relative to the module's root ("./cmd/prefork"). It is built once a run, as
// it is shipped (no cgo, stripped), or with the race detector.
func Build(t testing.TB, pkg string, race bool) string {
	t.Helper()
	key := builtKey{pkg, race}
	built.mu.Lock()
	b := built.programs[key]
	if b == nil {
		b = &program{}
		built.programs[key] = b
	}
	built.mu.Unlock()
	b.once.Do(func() { b.path, b.err = build(key) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

type builtKey struct {
	pkg  string
	race bool
}

type program struct {
	once sync.Once
	path string
	err  error
}

// built is what this run has built; Main removes the folder.
var built = struct {
	mu       sync.Mutex
	dir      string
	programs map[builtKey]*program
}{programs: map[builtKey]*program{}}

func build(key builtKey) (string, error) {
	dir, err := builtDir()
	if err != nil {
		return "", err
	}
	name := filepath.Base(key.pkg)
	args := []string{"build", "-trimpath"}
	env := append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if key.race {
		name += "-race"
		args = append(args, "-race")
		env = append(env, "CGO_ENABLED=1")
	} else {
		args = append(args, "-ldflags=-s -w")
		env = append(env, "CGO_ENABLED=0")
	}
	out := filepath.Join(dir, name)
	cmd := exec.Command("go", append(args, "-o", out, key.pkg)...)
	cmd.Dir, cmd.Env = moduleRoot(), env
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", key.pkg, err, text)
	}
	return out, nil
}

// builtDir makes the folder for what this run builds. It is passable for
// every user: workers run as nobody in some tests.
func builtDir() (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir != "" {
		return built.dir, nil
	}
	dir, err := os.MkdirTemp("", "prefork-built-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	built.dir = dir
	return dir, nil
}

// moduleRoot is the folder of go.mod: tests run in their package's folder.
var moduleRoot = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		panic("faults: go env GOMOD: " + err.Error())
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
})
