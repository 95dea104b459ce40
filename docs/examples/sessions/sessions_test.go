// Package sessions_test keeps the examples of sessions and the pages that show
// them together.
package sessions_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prefork/scripts/pages"
)

// howTo gives the blocks of a page.
func howTo(t *testing.T, name string) []pages.Block {
	t.Helper()
	blocks, err := pages.Read(filepath.Join("..", "..", "how-to", name))
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

func TestPagesShowTheFilesAsTheyAre(t *testing.T) {
	for page, folder := range map[string]string{
		"sessions-python.md": "python", "sessions-node.md": "node", "sessions-php.md": "php",
	} {
		shown := map[string]string{}
		for _, b := range howTo(t, page) {
			shown[b.Path()] = b.Text
		}
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if shown[f.Name()] != string(text) {
				t.Errorf("%s shows another %s than %s has", page, f.Name(), folder)
			}
		}
	}
}

// shell comes before the commands of a page: run goes to the background until
// the page's end, as docs_test.go of scripts/faults has it.
const shell = `set -eu
ip link set lo up
prefork() {
	case $1 in
	run)
		"$PREFORK" "$@" &
		pool=$!
		trap 'kill -TERM $pool; wait $pool' EXIT
		until "$PREFORK" status --ready >/dev/null 2>&1; do
			kill -0 $pool
			sleep 0.05
		done ;;
	*) "$PREFORK" "$@" ;;
	esac
}
`

// The page of Node installs packages, which needs a registry; its pool has a
// network of its own, as the other pages' have.
func TestNodeSessionsPageWorks(t *testing.T) {
	for _, name := range []string{"node", "npm", "curl", "unshare", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("missing: %s", name)
		}
	}
	if testing.Short() {
		t.Skip("this needs half a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("missing: root, for a network of the test's own")
	}
	dir, err := os.MkdirTemp("", "ns") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "bin", "prefork")
	run(t, "../../..", nil, "go", "build", "-o", binary, "./cmd/prefork")
	work := filepath.Join(dir, "page")
	for _, d := range []string{work, filepath.Join(dir, "run")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := shell
	for _, b := range howTo(t, "sessions-node.md") {
		switch {
		case b.Path() != "":
			if err := os.WriteFile(filepath.Join(work, b.Path()), []byte(b.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(b.Text, "npm install"):
			install := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund")
			install.Dir = work
			if text, err := install.CombinedOutput(); err != nil {
				t.Skipf("missing: packages of npm: %v: %s", err, text)
			}
		case b.By() == t.Name():
			script += b.Text
		}
	}
	env := append(os.Environ(), "PREFORK="+binary, "RUNTIME_DIRECTORY="+filepath.Join(dir, "run"))
	t.Log(run(t, work, env, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script))
}

// run runs a program to its end, which must be a good one.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, env
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out.String())
	}
	return out.String()
}
