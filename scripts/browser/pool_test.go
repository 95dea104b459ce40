package browser

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every single wait of these tests.
const patience = 30 * time.Second

// pool is a demo that runs.
type pool struct {
	binary  string
	control string
	url     string
	cmd     *exec.Cmd
	ended   chan error // what Wait returned, once
}

// build makes the binary under test; PREFORK_BINARY names one that is there.
func build(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("PREFORK_BINARY"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "prefork")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/prefork")
	cmd.Dir = filepath.Join("..", "..")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build prefork: %v\n%s", err, text)
	}
	return binary
}

// startPool starts the demo and waits for the line that names its address. At
// the end of the test it stops the pool, which must exit with 0.
func startPool(t *testing.T, binary string) *pool {
	t.Helper()
	folder, err := os.MkdirTemp("", "demo") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	p := &pool{binary: binary, control: filepath.Join(folder, "control.sock"), ended: make(chan error, 1)}
	p.cmd = exec.Command(binary, "demo", "-l", "127.0.0.1:0", "--control", p.control)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop(t)
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("stderr of the pool:\n%s", text)
		}
	})
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "demo: open "); ok {
				address <- url
			}
		}
		p.ended <- p.cmd.Wait() // only now: Wait closes the pipe
	}()
	select {
	case p.url = <-address:
	case err := <-p.ended:
		p.ended <- err
		t.Fatalf("the demo ended before it named its address: %v", err)
	case <-time.After(patience):
		t.Fatal("the demo did not name its address")
	}
	return p
}

func (p *pool) stop(t *testing.T) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal the master: %v", err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("the demo stopped with: %v", err)
		}
	case <-time.After(patience):
		t.Errorf("the demo did not stop within %v", patience)
		_ = p.cmd.Process.Kill()
	}
}

// ctl runs one of prefork's commands on the pool; it must succeed.
func (p *pool) ctl(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append(args, "--control", p.control)
	if text, err := exec.CommandContext(ctx, p.binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("prefork %s: %v\n%s", strings.Join(args, " "), err, text)
	}
}
