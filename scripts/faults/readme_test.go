//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prefork/scripts/pages"
)

// readme gives the commands of README.md that a test runs, in order.
func readme(t *testing.T, test string) string {
	t.Helper()
	blocks, err := pages.Read(filepath.Join(moduleRoot(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, b := range blocks {
		if b.By() == test {
			fmt.Fprintf(&script, "echo '--- line %d' >&2\n%s", b.Line, b.Text)
		}
	}
	if script.Len() == 0 {
		t.Fatalf("README.md has no commands for %s", test)
	}
	return script.String()
}

// The reader of README.md stands in a checkout: its commands build from it and
// start the workers that it ships. They run in a copy, in a network of its own.
func TestReadmeTourWorks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, for a network of the test's own")
	}
	needPrograms(t, "python3", "node", "curl")
	t.Parallel() // as the pages of docs/
	dir := tempDir(t)
	checkout, run := filepath.Join(dir, "prefork"), filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"cmd", "docs", "ipc", "master", "sockets", "worker"} {
		if err := os.CopyFS(filepath.Join(checkout, part), os.DirFS(filepath.Join(moduleRoot(), part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(moduleRoot(), file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(checkout, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", pageShell+readme(t, "TestReadmeTourWorks"))
	cmd.Dir = checkout
	// As the rig builds: without paths in it a package compiles to the same
	// bytes in every folder, so what is built already is used.
	cmd.Env = append(cleanEnviron(), "RIG_PREFORK="+Prefork(t), "RUNTIME_DIRECTORY="+run, "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, answer := range []string{"hello from python", "hello from node", "hello from go", "generation 2 is running", "8 workers wanted"} {
		if !strings.Contains(string(out), answer) {
			t.Errorf("nobody said %q:\n%s", answer, out)
		}
	}
	if _, err := os.Stat(filepath.Join(checkout, "bin/prefork")); err != nil {
		t.Error(err)
	}
}

// What README.md says of systemd is a part of the page that is followed word
// by word under a real one.
func TestReadmeSystemdCommandsAreThoseOfThePage(t *testing.T) {
	blocks, err := pages.Read(filepath.Join(moduleRoot(), "docs/how-to/systemd.md"))
	if err != nil {
		t.Fatal(err)
	}
	followed := map[string]bool{}
	for _, b := range blocks {
		if b.Systemd() {
			for line := range strings.Lines(b.Text) {
				followed[strings.TrimSpace(line)] = true
			}
		}
	}
	for line := range strings.Lines(readme(t, "TestReadmeSystemdCommandsAreThoseOfThePage")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "echo '--- line") && !followed[line] {
			t.Errorf("docs/how-to/systemd.md does not run %q", line)
		}
	}
}
