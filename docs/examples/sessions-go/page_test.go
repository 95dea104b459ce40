package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prefork/scripts/pages"
)

// root is the checkout.
var root = filepath.Join("..", "..", "..")

func howTo(t *testing.T) []pages.Block {
	t.Helper()
	blocks, err := pages.Read(filepath.Join(root, "docs", "how-to", "sessions-go.md"))
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

func TestGoSessionsPageShowsTheFilesAsTheyAre(t *testing.T) {
	shown := map[string]string{}
	for _, b := range howTo(t) {
		shown[b.Path()] = b.Text
	}
	for _, name := range []string{"main.go", "key.py"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if shown[name] != string(text) {
			t.Errorf("the page shows another %s", name)
		}
	}
}

// shell comes before the commands of the page: a pool, which would keep the
// terminal, goes to the background until the next one, or the page's end.
const shell = `set -eu
ip link set lo up
pool=
stop_pool() {
	[ -n "$pool" ] || return 0
	kill -TERM "$pool" 2>/dev/null || :
	wait "$pool" || :
	pool=
}
trap stop_pool EXIT
prefork() {
	case $1 in
	run)
		stop_pool
		"$PREFORK" "$@" &
		pool=$!
		until "$PREFORK" status --ready >/dev/null 2>&1; do
			kill -0 "$pool"
			sleep 0.05
		done ;;
	*) "$PREFORK" "$@" ;;
	esac
}
`

// What the page tells the reader to type is typed, in a copy of the checkout
// and a network of its own.
func TestGoSessionsPageWorks(t *testing.T) {
	for _, name := range []string{"python3", "curl", "awk", "redis-server", "redis-cli", "unshare", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("missing: %s", name)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("missing: root, for a network of the test's own")
	}
	dir, err := os.MkdirTemp("", "gs") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	checkout, binary := filepath.Join(dir, "prefork"), filepath.Join(dir, "bin", "prefork")
	for _, part := range []string{"cmd", "docs", "ipc", "master", "sockets", "worker"} {
		if err := os.CopyFS(filepath.Join(checkout, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(checkout, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "run")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	script := shell
	for _, b := range howTo(t) {
		if b.By() == t.Name() {
			script += b.Text
		}
	}
	// Without paths in it a package compiles to the same bytes in every folder,
	// so what is built already is used.
	env := append(os.Environ(), "PREFORK="+binary, "RUNTIME_DIRECTORY="+state, "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	run(t, checkout, env, "go", "build", "-o", binary, "./cmd/prefork")
	said := run(t, checkout, env, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script)
	for _, line := range []string{"2 in your cart", "goodbye", "hello, stranger; 0 in your cart", `"user": "Ada"`, "session/"} {
		if !strings.Contains(said, line) {
			t.Errorf("nobody said %q", line)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// run runs a program to its end, which must be a good one.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
