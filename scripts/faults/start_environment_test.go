//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"prefork/master/control"
)

// However it was started, a pool serves, reloads and stops: with HUP and INT
// ignored (nohup, a shell's background), TERM blocked, none of the standard
// descriptors, a working folder that is gone, no umask, odd names, a huge
// environment, or no environment at all.
func TestOddStartsServeReloadAndStop(t *testing.T) {
	needPrograms(t, python, "nohup", "prlimit", "setsid", "bash")
	big := make([]string, 100)
	for i := range big {
		big[i] = fmt.Sprintf("BALLAST_%d=%s", i, strings.Repeat("x", 1000))
	}
	for _, w := range []struct {
		name string
		wrap []string
		env  []string
	}{
		{name: "nohup", wrap: []string{"nohup"}},
		{name: "HUP, INT and CHLD ignored", wrap: []string{"sh", "-c", `trap "" HUP INT QUIT CHLD PIPE; exec "$@"`, "sh"}},
		{name: "TERM, HUP and CHLD blocked", wrap: []string{python, "-c", blockTERM}},
		{name: "stdin closed", wrap: []string{"sh", "-c", `exec "$@" <&-`, "sh"}},
		{name: "stdout closed", wrap: []string{"sh", "-c", `exec "$@" >&-`, "sh"}},
		{name: "folder gone", wrap: []string{"sh", "-c", `mkdir gone && cd gone && rmdir ../gone && exec "$@"`, "sh"}},
		{name: "no umask", wrap: []string{"sh", "-c", `umask 0; exec "$@"`, "sh"}},
		{name: "tight umask", wrap: []string{"sh", "-c", `umask 0777; exec "$@"`, "sh"}},
		{name: "name is empty", wrap: []string{"bash", "-c", `exec -a "" "$@"`, "bash"}},
		{name: "large environment", env: big},
		{name: "no HOME and no PATH", env: []string{"HOME=", "PATH="}},
		{name: "own session", wrap: []string{"setsid"}},
		{name: "few descriptors", wrap: []string{"prlimit", "--nofile=64:64"}},
		{name: "stray descriptors", wrap: []string{"sh", "-c", `exec 7</etc/passwd 8</etc/passwd; exec "$@"`, "sh"}},
	} {
		t.Run(w.name, func(t *testing.T) {
			p := Start(t, Options{Wrap: w.wrap, Env: w.env, Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
			addr := p.Addr(t)
			get(t, addr)
			s := p.Status(t)
			if err := syscall.Kill(s.Workers[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			p.Until(t, "two workers again", hasReady(2, s.Workers[0].PID))
			p.Signal(t, syscall.SIGHUP)
			p.Until(t, "generation 2", func(s control.Status) bool { return s.Generation == 2 && s.Phase == "running" })
			get(t, addr)
			if st, err := os.Stat(p.Control); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("control socket: %v, %v", st, err)
			}
			s = p.Until(t, "the old workers gone", func(s control.Status) bool { return hasReady(2)(s) && len(s.Workers) == 2 })
			for _, name := range FDs(t, s.Workers[0].PID) {
				if strings.Contains(name, "passwd") {
					t.Errorf("a worker has %s", name)
				}
			}
			p.Stop(t)
		})
	}
}

// blockTERM executes its arguments with these signals blocked.
const blockTERM = "import os,signal,sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})\nos.execvp(sys.argv[1], sys.argv[1:])"

// Whatever the master was started with, a worker has no signal blocked and
// none ignored: a program that was never told of them must stop at TERM.
func TestWorkerStartsWithNoSignalBlockedOrIgnored(t *testing.T) {
	needPrograms(t, python)
	p := Start(t, Options{
		Wrap:  []string{python, "-c", blockTERM, "sh", "-c", `trap "" HUP INT QUIT TERM PIPE USR1; exec "$@"`, "sh"},
		Flags: []string{"-w", "1", "--ready", "alive:0s", "--settle", "0s"}, Command: []string{"sleep", "1000"},
	})
	pid := p.Status(t).Workers[0].PID
	Eventually(t, "sleep executed", func() bool {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err == nil && string(name) == "sleep\n"
	})
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^SigBlk:\t0+$`, `(?m)^SigIgn:\t0+$`} {
		if !patternIn(string(text), want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	p.Stop(t)
}

// With nothing at 0, 1 and 2 no descriptor of the pool may take their places.
// Nothing that it says can be seen then: the control socket tells that it runs.
func TestStartWithoutStandardDescriptors(t *testing.T) {
	p := Start(t, Options{
		Wrap: []string{"sh", "-c", `exec "$@" <&- >&- 2>&-`, "sh"}, Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web"),
	})
	get(t, p.Addr(t))
	for _, pid := range []int{p.PID, p.Status(t).Workers[0].PID} {
		for fd := range 3 {
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
			if err != nil || link != os.DevNull && !strings.HasPrefix(link, "pipe:") {
				t.Errorf("process %d has %q (%v) at %d", pid, link, err, fd)
			}
		}
	}
	p.Reload(t)
	p.Stop(t)
}

// HUP to a Go worker, as `pkill -HUP name` sends it to all, and other signals
// that it has no use for, end no worker.
func TestStraySignalsEndNoWorker(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	load.Until(t, 20)
	s := p.Status(t)
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGCHLD}
	for range Count(t, 100) {
		for _, pid := range PIDs(s.Workers) {
			for _, sig := range signals {
				if err := syscall.Kill(pid, sig); err != nil {
					t.Fatalf("worker %d, %v: %v", pid, sig, err)
				}
			}
		}
	}
	for _, sig := range append(signals[1:], syscall.SIGALRM, syscall.SIGIO, syscall.SIGVTALRM) { // HUP is a reload
		p.Signal(t, sig)
	}
	load.Until(t, 50)
	after := p.Status(t)
	for i, pid := range PIDs(s.Workers) {
		if after.Workers[i].PID != pid || processState(pid) == "" {
			t.Errorf("worker %d has ended", pid)
		}
	}
	if after.Generation != 1 || after.Phase != "running" {
		t.Errorf("%+v", after)
	}
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// A user's limit on processes is hit in the middle of the run: what runs goes
// on, the reason is named, and the pool is whole when the limit is gone.
func TestLimitOnProcessesIsSurvivedAndNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run a pool as another user")
	}
	needPrograms(t, "setpriv", "prlimit")
	const uid = 64123 // nobody's here, so that its count of processes is the pool's
	dir := tempDir(t)
	ctl := filepath.Join(dir, "c.sock")
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	as := []string{fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), "--clear-groups"}
	p := Start(t, Options{
		Wrap:  append([]string{"setpriv"}, as...),
		Flags: []string{"-w", "2", "--control", ctl}, Env: []string{"TMPDIR=" + dir}, Command: publicRole(t, "web"),
		NoWait: true, // that user may not write to the rig's notify socket
	})
	p.Control = ctl
	s := p.Until(t, "two workers", hasReady(2))
	limit := func(text string) {
		t.Helper()
		// As that user: root without CAP_SYS_RESOURCE may not (prlimit(2)).
		if out, err := exec.Command("setpriv", append(slices.Clone(as), "prlimit", "--pid", fmt.Sprint(p.PID), "--nproc="+text)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit("1:")
	mark := p.Err.Len()
	if err := syscall.Kill(s.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.Err.WaitAfter(t, mark, `cannot start a worker.*resource temporarily unavailable.*RLIMIT_NPROC`)
	now := p.Status(t)
	if len(now.Workers) != 1 || now.Workers[0].PID != s.Workers[1].PID {
		t.Errorf("workers %+v", now.Workers)
	}
	if len(now.Empty) != 1 || !strings.Contains(now.Empty[0].Why, "RLIMIT_NPROC") || now.Empty[0].Until.IsZero() {
		t.Errorf("empty slots: %+v", now.Empty)
	}
	get(t, p.Addr(t))
	if code, out := p.CLI(t, "reload"); code != 1 || !strings.Contains(out, "RLIMIT_NPROC") {
		t.Errorf("reload: exit %d: %s", code, out)
	}
	limit("1000:")
	p.Until(t, "two workers again", hasReady(2))
	p.Reload(t)
	p.Stop(t)
}

// The kernel has no memory for a fork, or no descriptor, in the middle of the
// run. Only the master's main thread is traced: it is the one that forks, and
// once it is locked it makes no threads (runtime, newm).
func TestFailingSystemCallsAreSurvivedAndNamed(t *testing.T) {
	needPrograms(t, "strace")
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 2)
	for _, w := range []struct{ calls, inject, says string }{
		{"clone,clone3,vfork", "error=ENOMEM", `no memory for another process`},
		{"clone,clone3,vfork", "error=EAGAIN", `RLIMIT_NPROC`},
		{"memfd_create", "error=EMFILE", `memfd_create: too many open files`},
		{"memfd_create", "error=ENOMEM", `memfd_create: cannot allocate memory`},
		{"pipe2", "error=ENFILE", `pipe2: too many open files in system`},
		{"socket", "error=EMFILE", `socket: too many open files`},
		{"bind", "error=ENOSPC", `no space left on device`},
		{"epoll_ctl", "error=ENOSPC", `no space left on device`},
	} {
		t.Run(w.calls+" "+w.inject, func(t *testing.T) {
			s := p.Until(t, "two workers", hasReady(2))
			fds := p.descriptors(t)
			detach := inject(t, p.PID, w.calls, w.inject)
			mark := p.Err.Len()
			if err := syscall.Kill(s.Workers[0].PID, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			p.Err.WaitAfter(t, mark, `cannot start a worker.*`+w.says)
			now := p.Status(t)
			if len(now.Empty) == 1 && !strings.Contains(now.Empty[0].Why, "cannot be started") {
				t.Errorf("empty: %+v", now.Empty)
			}
			if processState(s.Workers[1].PID) == "" {
				t.Error("the other worker is gone")
			}
			if code, out := p.CLI(t, "reload"); code != 1 || !patternIn(out, w.says) {
				t.Errorf("reload: exit %d, want 1 and %q: %s", code, w.says, out)
			}
			detach()
			p.Until(t, "two workers again", hasReady(2))
			p.atMost(t, "after the fault", fds)
		})
	}
	p.Reload(t)
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// inject lets system calls of a thread fail until detach.
func inject(t testing.TB, tid int, calls, what string) (detach func()) {
	t.Helper()
	r, w := pipe(t)
	cmd := exec.Command("strace", "-p", fmt.Sprint(tid), "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":"+what)
	cmd.Stderr = w
	err := cmd.Start()
	_ = w.Close()
	text := collect(r)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	detach = func() {
		once.Do(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM) // it lets go of the thread, then dies of it
			_ = cmd.Wait()
			text.waitEnd(Patience)
		})
	}
	t.Cleanup(detach)
	text.Wait(t, "attached")
	return detach
}

// The program's file goes away under the running pool, is busy (ETXTBSY) or
// half written: what runs is not touched, a respawn says what is wrong and
// comes back with the file.
func TestProgramThatGoesAwayIsNamedAndComesBack(t *testing.T) {
	dir := tempDir(t)
	program := filepath.Join(dir, "app")
	text, err := os.ReadFile(RoleCommand(t, "web")[0])
	if err != nil {
		t.Fatal(err)
	}
	install := func() {
		t.Helper()
		if err := os.WriteFile(program+".new", text, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	install()
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: []string{program, rolePrefix + "web"}})
	load := StartLoad(t, Dial(p.Addr(t)), 2)
	for _, w := range []struct {
		name, says string
		harm       func() (undo func(), err error)
	}{
		{"gone", `exec ` + program + `: no such file`, func() (func(), error) { return func() {}, os.Remove(program) }},
		{"half written", `exec ` + program + `: neither a program`, func() (func(), error) {
			_ = os.Remove(program)
			return func() {}, os.WriteFile(program, text[:10], 0o755)
		}},
		{"busy", `exec ` + program + ` .*text file busy`, func() (func(), error) {
			_ = os.Remove(program)
			f, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
			if err == nil {
				_, err = f.Write(text)
			}
			return func() { _ = f.Close() }, err
		}},
		{"not executable", `exec ` + program + ` \(mode 0644`, func() (func(), error) { return func() {}, os.Chmod(program, 0o644) }},
	} {
		s := p.Until(t, "two workers", hasReady(2))
		undo, err := w.harm()
		if err != nil {
			t.Fatal(err)
		}
		if code, out := p.CLI(t, "reload"); code != 1 || !patternIn(out, w.says) {
			t.Errorf("%s: reload: exit %d: %s", w.name, code, out)
		}
		mark := p.Err.Len()
		if err := syscall.Kill(s.Workers[0].PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.Err.WaitAfter(t, mark, w.says)
		// The line may be that of the reload's second worker: the slot's own
		// reason comes with the end of its respawn.
		now := p.Until(t, w.name+": an empty slot, with its reason", func(s control.Status) bool {
			return len(s.Empty) == 1 && patternIn(s.Empty[0].Why, w.says)
		})
		if !strings.Contains(now.Message, "reload, or roll back the files") {
			t.Errorf("%s: %+v, %q", w.name, now.Empty, now.Message)
		}
		if processState(s.Workers[1].PID) == "" {
			t.Errorf("%s: the other worker is gone", w.name)
		}
		undo()
		install()
		p.Until(t, w.name+": two workers again", hasReady(2))
	}
	p.Reload(t)
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}
