//go:build faults

package faults

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say how a pool is started. The zero value of each field is the
// usual case.
type Options struct {
	Flags   []string // flags of `prefork run`, after the rig's own
	Listen  []string // nil: one on a free port of 127.0.0.1; empty: no -l at all
	Command []string // the worker; nil: the config file names it
	Config  string   // text of a config file, given with -c; "" none
	Env     []string // added to the environment of the test
	Wrap    []string // command before prefork: strace, nohup, setpriv, ...
	Race    bool     // the binary with the race detector
	NoWait  bool     // return without waiting for READY=1
	Files   []*os.File
	// Files are handed to the process from fd 3 on, and stay the caller's.
}

// Pool is a running `prefork run` with a folder and a notify socket of its
// own. Its methods are for the test's goroutine, but for Status and Signal.
type Pool struct {
	PID     int // of the process the rig started: the master, but for Wrap
	Dir     string
	Control string // path of the control socket
	Config  string // path of the config file, "" without one
	Notify  *NotifySocket
	Out     *Text // stdout of master and workers
	Err     *Text // stderr of the master, with that of the workers passed on

	binary string
	marker string
	ended  chan struct{} // closed when the process was waited for
	state  *os.ProcessState
}

// Start runs a pool and waits until it is ready. The end of the test stops
// it and checks that nothing is left.
func Start(t testing.TB, o Options) *Pool {
	t.Helper()
	dir := tempDir(t)
	p := &Pool{
		Dir:     dir,
		Control: filepath.Join(dir, "control.sock"),
		Notify:  NewNotifySocket(t, dir),
		binary:  Prefork(t),
		marker:  newMarker(),
		ended:   make(chan struct{}),
	}
	if o.Race {
		p.binary = PreforkRace(t)
	}
	before := ownFDs(t)
	p.spawn(t, append(o.Wrap, p.arguments(t, o)...), o)
	t.Cleanup(func() { p.finish(t, before) })
	if !o.NoWait {
		p.WaitReady(t)
	}
	return p
}

func (p *Pool) arguments(t testing.TB, o Options) []string {
	args := []string{p.binary, "run", "--control", p.Control}
	if o.Config != "" {
		p.Config = filepath.Join(p.Dir, "pool.toml")
		p.WriteConfig(t, o.Config)
		args = append(args, "-c", p.Config)
	}
	listen := o.Listen
	if listen == nil {
		listen = []string{"127.0.0.1:0"}
	}
	for _, l := range listen {
		args = append(args, "-l", l)
	}
	args = append(args, o.Flags...)
	if o.Command != nil {
		args = append(append(args, "--"), o.Command...)
	}
	return args
}

// WriteConfig replaces the config file as a careful editor does, by a rename.
func (p *Pool) WriteConfig(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(p.Config+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.Config+".new", p.Config); err != nil {
		t.Fatal(err)
	}
}

func (p *Pool) spawn(t testing.TB, args []string, o Options) {
	t.Helper()
	outR, outW := pipe(t)
	errR, errW := pipe(t)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = append(cleanEnviron(), p.marker, "NOTIFY_SOCKET="+p.Notify.Path)
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Stdout, cmd.Stderr = outW, errW
	cmd.ExtraFiles = o.Files
	// A test run that dies (a panic, its timeout) takes its pools with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := startOnLastingThread(cmd)
	_, _ = outW.Close(), errW.Close()
	p.Out, p.Err = collect(outR), collect(errR)
	if err != nil {
		t.Fatal(err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // its error is the state
		p.state = cmd.ProcessState
		close(p.ended)
	}()
}

// WaitReady waits for READY=1; a pool that ends first fails the test with what it said.
func (p *Pool) WaitReady(t testing.TB) {
	t.Helper()
	if _, err := p.Notify.await(0, "READY=1", p.ended); err != nil {
		t.Fatalf("%v\n%s", err, p.Err)
	}
}

// Signal sends a signal to the master.
func (p *Pool) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID, sig); err != nil {
		t.Fatalf("signal %v to master %d: %v", sig, p.PID, err)
	}
}

// Wait waits for the master's end and gives its exit code; -1 and the signal
// when one ended it. All that it wrote is in Err then, but for one that was
// killed: workers that it leaves may still have its stderr.
func (p *Pool) Wait(t testing.TB) (code int, sig syscall.Signal) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Patience):
		t.Fatalf("master %d still runs after %v\n%s", p.PID, Patience, p.Err)
	}
	ws := p.state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return -1, ws.Signal()
	}
	p.Err.waitEnd(Patience) // who else holds it is found by finish
	return ws.ExitStatus(), 0
}

// Ended reports whether the master has ended.
func (p *Pool) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Stop ends the pool with TERM and wants exit code 0.
func (p *Pool) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code, sig := p.Wait(t); code != 0 {
		t.Fatalf("stop: exit %d (signal %v)\n%s", code, sig, p.Err)
	}
}

// CLI runs a subcommand of the binary against this pool and gives its exit
// code and its output, stdout first.
func (p *Pool) CLI(t testing.TB, subcommand string, args ...string) (code int, output string) {
	t.Helper()
	return RunCLI(t, p.binary, append([]string{subcommand, "--control", p.Control}, args...)...)
}

// Reload runs `prefork reload` and wants it to commit.
func (p *Pool) Reload(t testing.TB) {
	t.Helper()
	if code, out := p.CLI(t, "reload"); code != 0 {
		t.Fatalf("reload: exit %d: %s\n%s", code, out, p.Err)
	}
}

// RunCLI runs a program that must end by itself.
func RunCLI(t testing.TB, program string, args ...string) (code int, output string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Env = cleanEnviron()
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String() + errs.String()
}
