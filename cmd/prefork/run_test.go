package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// playIdle is a worker that does nothing and leaves when it is told to.
func playIdle() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		_, _ = os.Stderr.WriteString("no database\n")
		os.Exit(3)
	}
	<-told
}

// called makes a link by which the test binary plays a role.
func called(t *testing.T, role string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), role)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// pool is "prefork run" in a process of its own.
type pool struct {
	t       *testing.T
	cmd     *exec.Cmd
	log     chan string
	control string
}

func startPool(t *testing.T, control string, args ...string) *pool {
	t.Helper()
	p := &pool{t: t, control: control, log: make(chan string, 1000)}
	p.cmd = exec.Command(called(t, "prefork"), append([]string{
		"run", "-l", "127.0.0.1:0", "--ready", "alive:0s", "--settle", "0", "--control", control, "--log-format", "text",
	}, args...)...)
	p.cmd.Args[0] = "prefork"
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.log)
		for s := bufio.NewScanner(errs); s.Scan(); {
			t.Log(s.Text())
			p.log <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // KILL for all, if it still runs
		<-read
		_ = p.cmd.Wait()
	})
	return p
}

// waitLog waits for a line of the log.
func (p *pool) waitLog(part string) {
	p.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-p.log:
			if !ok {
				p.t.Fatalf("the log ended before %q", part)
			}
			if strings.Contains(line, part) {
				return
			}
		case <-deadline:
			p.t.Fatalf("no %q in the log", part)
		}
	}
}

// exitCode waits for the end of the process.
func (p *pool) exitCode() int {
	p.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case _, ok := <-p.log:
			if ok {
				continue
			}
			err := p.cmd.Wait()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				p.t.Fatal(err)
			}
			return p.cmd.ProcessState.ExitCode()
		case <-deadline:
			p.t.Fatal("the pool does not end")
		}
	}
}

func (p *pool) status() control.Status {
	p.t.Helper()
	o := try(p.t, nil, "status", "--json", "--control", p.control)
	var s control.Status
	if err := json.Unmarshal([]byte(o.stdout), &s); err != nil || o.code != 0 {
		p.t.Fatalf("%+v: %v", o, err)
	}
	return s
}

func TestPoolIsRunReloadedScaledAndStopped(t *testing.T) {
	file := write(t, "workers = 2\ncommand = ["+quote(called(t, "idle"))+"]\n")
	p := startPool(t, filepath.Join(t.TempDir(), "c.sock"), "-c", file, "--name", "shop")
	p.waitLog("pool ready")

	if o := try(t, nil, "status", "--ready", "--control", p.control); o.code != 0 || o.stdout != "ready: running, 2 of 2 workers ready\n" {
		t.Errorf("%+v", o)
	}
	if o := try(t, nil, "scale", "3", "--control", p.control); o.code != 0 {
		t.Errorf("%+v", o)
	}
	if o := try(t, nil, "reload", "--control", p.control); o.code != 0 || !strings.Contains(o.stdout, "generation 2") {
		t.Errorf("%+v", o)
	}
	if s := p.status(); s.Name != "shop" || s.Generation != 2 || s.Wanted != 3 || s.Configured != 2 || s.PID != p.cmd.Process.Pid {
		t.Errorf("%+v", s)
	}

	if err := os.WriteFile(file, []byte("workers = 2\ncomand = []\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := try(t, nil, "reload", "--control", p.control)
	if o.code != 1 || !strings.Contains(o.stderr, file+`:2: unknown key "comand", did you mean "command"?`) {
		t.Errorf("%+v", o)
	}
	if s := p.status(); s.Generation != 2 || s.LastReload == nil || s.LastReload.Outcome != "failed" {
		t.Errorf("%+v", s)
	}

	second := startPool(t, p.control, "--", called(t, "idle"))
	if code := second.exitCode(); code != 1 {
		t.Errorf("a second pool at the same control socket: exit %d", code)
	}

	if o := try(t, nil, "stop", "--control", p.control); o.code != 0 || o.stdout != "stopped\n" {
		t.Errorf("%+v", o)
	}
	if code := p.exitCode(); code != 0 {
		t.Errorf("stopped as asked: exit %d", code)
	}
}

func TestFirstGenerationThatFailsExits3(t *testing.T) {
	p := startPool(t, filepath.Join(t.TempDir(), "c.sock"), "--ready", "alive:20s", "-w", "1", "--", called(t, "idle"), "fail")
	p.waitLog("no database")
	if code := p.exitCode(); code != 3 {
		t.Errorf("exit %d", code)
	}
}
