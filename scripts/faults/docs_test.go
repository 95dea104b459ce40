//go:build faults

package faults

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prefork/scripts/pages"
)

// documents gives the pages that have a block of a kind, with their blocks:
// README.md and docs/.
func documents(t *testing.T, kind func(pages.Block) bool) map[string][]pages.Block {
	t.Helper()
	found := map[string][]pages.Block{}
	read := func(path string) {
		blocks, err := pages.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if kind(b) {
				found[path] = blocks
				return
			}
		}
	}
	readme := filepath.Join(moduleRoot(), "README.md")
	if _, err := os.Stat(readme); err == nil {
		read(readme)
	}
	err := filepath.WalkDir(filepath.Join(moduleRoot(), "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			read(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What a page tells the reader to type is typed, in a folder and a network of
// its own: pages may use port 8080, tests may not.
func TestDocumentedCommandsWork(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, for a network of the test's own")
	}
	t.Parallel() // pages mostly wait, each in a network of its own
	for path, blocks := range documents(t, pages.Block.Plain) {
		name, err := filepath.Rel(moduleRoot(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runPage(t, blocks)
		})
	}
}

// pageShell comes before a page's commands. A pool in the foreground would
// keep the reader's terminal, and here the page: it goes to the background
// until the next one, or the page's end. `go run ./cmd/prefork` is prefork.
const pageShell = `set -eu
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
	case ${1:-} in
	run | demo)
		stop_pool
		"$RIG_PREFORK" "$@" &
		pool=$!
		until "$RIG_PREFORK" status --ready >/dev/null 2>&1; do
			kill -0 "$pool" || { echo "the pool has ended: prefork $*" >&2; exit 1; }
			sleep 0.05
		done ;;
	*) "$RIG_PREFORK" "$@" ;;
	esac
}
go() {
	[ "${1:-} ${2:-}" = "run ./cmd/prefork" ] || { command go "$@"; return; }
	shift 2
	prefork "$@"
}
`

func runPage(t *testing.T, blocks []pages.Block) {
	dir := tempDir(t)
	var script strings.Builder
	script.WriteString(pageShell)
	files := 0
	for _, b := range blocks {
		switch {
		case b.Path() != "":
			// Beside the page's folder until its turn comes.
			files++
			kept := filepath.Join(dir, fmt.Sprintf("file%d", files))
			if err := os.WriteFile(kept, []byte(b.Text), 0o644); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&script, "cp %q %q\n", kept, b.Path())
		case b.Plain():
			fmt.Fprintf(&script, "echo '--- line %d' >&2\n%s", b.Line, b.Text)
		}
	}
	work, run := filepath.Join(dir, "page"), filepath.Join(dir, "run")
	for _, d := range []string{work, run} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*Patience)
	defer cancel()
	// As PID 1 of a namespace the shell takes all that it started with it.
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", script.String())
	cmd.Dir = work
	cmd.Env = append(cleanEnviron(), "RIG_PREFORK="+Prefork(t), "RUNTIME_DIRECTORY="+run)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The pages about systemd are followed word by word in a machine.
func TestUnderRealSystemdDocumentedCommandsWork(t *testing.T) {
	t.Parallel() // as the other pages, each in a machine of its own
	for path, blocks := range documents(t, pages.Block.Systemd) {
		name, err := filepath.Rel(moduleRoot(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			followPage(t, BootSystemd(t), blocks)
		})
	}
}

// followPage stands in the folder of a checkout in which the binary was built.
func followPage(t *testing.T, m *Machine, blocks []pages.Block) {
	const checkout = "/root/checkout/"
	m.Copy(t, Prefork(t), checkout+"prefork", 0o755)
	for _, unit := range []string{"prefork@.service", "prefork@.socket"} {
		m.Copy(t, filepath.Join(moduleRoot(), "scripts/systemd", unit), checkout+"scripts/systemd/"+unit, 0o644)
	}
	for _, b := range blocks {
		switch {
		case b.Path() != "":
			m.Write(t, b.Path(), b.Text, 0o644)
		case b.Systemd():
			code, out := m.Run(t, "sh", "-c", "cd "+checkout+"; set -eu; "+b.Text)
			t.Logf("line %d:\n%s%s", b.Line, b.Text, out)
			if code != 0 {
				t.Fatalf("the commands of line %d: exit %d", b.Line, code)
			}
		}
	}
}
