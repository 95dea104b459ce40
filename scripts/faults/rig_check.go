//go:build faults

package faults

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// markerName is a variable that every process of a pool inherits; what still
// carries it after the pool's end was left behind.
const markerName = "RIG_POOL"

func newMarker() string { return markerName + "=" + rand.Text() }

// Processes gives the pids of all living processes of the pool, the master's too.
func (p *Pool) Processes() []int {
	var pids []int
	for _, pid := range allPIDs() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), p.marker) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// environ is what a process was started with. In the middle of its exec the
// kernel has nothing to show (fs/proc/base.c, environ_read).
func environ(t testing.TB, pid int) string {
	t.Helper()
	var text []byte
	Eventually(t, fmt.Sprintf("process %d is executed", pid), func() bool {
		var err error
		if text, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil {
			t.Fatal(err)
		}
		return len(text) > 0
	})
	return string(text)
}

func allPIDs() []int {
	entries, _ := os.ReadDir("/proc") // readable wherever the tests can run
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// FDs gives what a process has open, as /proc names it, sorted.
func FDs(t testing.TB, pid int) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since, or the descriptor of the listing itself
		}
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, link)
	}
	slices.Sort(open)
	return open
}

func ownFDs(t testing.TB) []string { return FDs(t, os.Getpid()) }

// Threads counts the threads of a process.
func Threads(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// RSS gives the resident memory of a process, in KiB.
func RSS(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmRSS of %d in %s", pid, status)
	}
	kib, _ := strconv.Atoi(string(m[1])) // the pattern has digits only
	return kib
}

// finish ends the pool if the test has not, and fails the test for everything
// that is left of it.
func (p *Pool) finish(t testing.TB, fdsBefore []string) {
	t.Helper()
	p.end(t)
	p.checkProcesses(t)
	if !p.Out.waitEnd(Patience) || !p.Err.waitEnd(Patience) {
		t.Errorf("somebody still holds the pool's stdout or stderr")
	}
	p.checkSockets(t)
	for _, sign := range []string{"WARNING: DATA RACE", "\npanic: ", "\nfatal error: "} {
		if strings.Contains("\n"+p.Err.String(), sign) {
			t.Errorf("stderr has %q", strings.TrimSpace(sign))
		}
	}
	checkOwnFDs(t, fdsBefore)
	if t.Failed() {
		t.Logf("stderr of the pool:\n%s", p.Err)
	}
}

// end stops a pool that still runs: TERM, then KILL.
func (p *Pool) end(t testing.TB) {
	t.Helper()
	if p.Ended() {
		return
	}
	_ = syscall.Kill(p.PID, syscall.SIGTERM) // it may end by itself meanwhile
	select {
	case <-p.ended:
	case <-time.After(Patience):
		t.Errorf("master %d did not end within %v of TERM", p.PID, Patience)
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
		<-p.ended
	}
}

// checkProcesses gives what is left a moment to go, then fails the test for it
// and kills it.
func (p *Pool) checkProcesses(t testing.TB) {
	t.Helper()
	late := time.After(Patience / 2)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left := p.Processes()
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			for _, pid := range left {
				cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may just have gone
				t.Errorf("left behind: process %d: %s", pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
}

// checkSockets wants no socket file but the rig's own. A master that was
// killed could not remove its own.
func (p *Pool) checkSockets(t testing.TB) {
	t.Helper()
	if p.state.Sys().(syscall.WaitStatus).Signaled() {
		return
	}
	err := filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSocket && path != p.Notify.Path {
			t.Errorf("left behind: socket %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkOwnFDs compares what the test has open with what it had before the
// pool. Connections that the pool's end closes take a moment to go.
func checkOwnFDs(t testing.TB, before []string) {
	t.Helper()
	late := time.After(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		after := ownFDs(t)
		if len(after) <= len(before) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Errorf("the test itself leaks descriptors: before %q, after %q", before, after)
			return
		}
	}
}

// tempDir is a fresh folder with a short path (a socket's is at most 107
// bytes, unix(7)) that every user may pass.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// cleanEnviron is the test's environment without what a supervisor above it
// may have set.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") ||
			strings.HasPrefix(name, "PREFORK_") || name == "NOTIFY_SOCKET" || name == "RUNTIME_DIRECTORY" || name == "JOURNAL_STREAM"
	})
}

// startOnLastingThread starts a command from a thread that lives as long as
// the test run: a parent-death signal comes at the end of the thread that
// forked, not of the process (prctl(2), PR_SET_PDEATHSIG).
func startOnLastingThread(cmd *exec.Cmd) error {
	lasting.once.Do(func() {
		lasting.start = make(chan startRequest)
		go func() {
			runtime.LockOSThread() // never unlocked
			for r := range lasting.start {
				r.err <- r.cmd.Start()
			}
		}()
	})
	r := startRequest{cmd, make(chan error, 1)}
	lasting.start <- r
	return <-r.err
}

type startRequest struct {
	cmd *exec.Cmd
	err chan error
}

var lasting struct {
	once  sync.Once
	start chan startRequest
}
