package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit statuses of a shim that could not execute its program, those of
// env(1): the program is there but cannot be run, and it is not there.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// Shim turns this process into the worker when the master started it as one,
// and then does not return. It must be the first statement of main.
func Shim() {
	if len(os.Args) != 2 || os.Args[0] != shimName {
		return
	}
	runtime.LockOSThread() // execve keeps no other thread, and all that follows is this thread's own
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(exitCannotRun)
	}
	var p plan
	if err := readPlan(fd, &p); err != nil {
		os.Exit(exitCannotRun)
	}
	unix.CloseOnExec(p.Report)
	err = p.run()
	_, _ = unix.Write(p.Report, []byte(err.Error()))
	if errors.Is(err, unix.ENOENT) {
		os.Exit(exitNotFound)
	}
	os.Exit(exitCannotRun)
}

func readPlan(fd int, p *plan) error {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "plan")
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, p)
}

// run does everything in the order of DESIGN 2 and executes the program. The
// process group is the new one already (syscall.SysProcAttr.Setpgid). It
// returns only with an error.
func (p *plan) run() error {
	p.reserve()
	ids := newIDs(p)
	if err := defaultSignals(); err != nil {
		return err
	}
	if p.Umask >= 0 {
		unix.Umask(p.Umask)
	}
	if p.Nice != nil {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, *p.Nice); err != nil {
			return fmt.Errorf("nice %d: %w", *p.Nice, err)
		}
	}
	for _, l := range p.Rlimits {
		// syscall.Setrlimit, since it makes syscall.Exec leave the limit
		// alone that it otherwise sets back (RLIMIT_NOFILE, syscall/rlimit.go).
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Cur, Max: l.Max}); err != nil {
			return fmt.Errorf("rlimit %s: %w", l.String(), err)
		}
	}
	if err := ids.drop(); err != nil {
		return err
	}
	// After the ids: a setuid clears the parent-death signal (prctl(2)).
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(p.DeathSignal), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_PDEATHSIG: %w", err)
	}
	if unix.Getppid() != p.Parent {
		return errors.New("the master is gone")
	}
	if p.Dir != "" {
		if err := unix.Chdir(p.Dir); err != nil {
			return fmt.Errorf("chdir %s: %w", p.Dir, err)
		}
	}
	if err := p.closeRest(); err != nil {
		return err
	}
	path := p.Path
	if path == "" {
		var err error
		if path, err = lookPath(p.Argv[0], p.Env); err != nil {
			return err
		}
	}
	env := append(p.Env, "LISTEN_PID="+strconv.Itoa(unix.Getpid()))
	return explain(path, syscall.Exec(path, p.Argv, env))
}

// reserve has memory at hand for all that follows: the program's limits hold
// from when they are set, and this process has mapped more than most of them
// allow before main began, so that it would get no page more. (Where the heap
// begins, and how much of its first 4 MiB is left, is random since Go 1.26.)
func (p *plan) reserve() {
	if !slices.ContainsFunc(p.Rlimits, func(l Rlimit) bool { return l.Resource == unix.RLIMIT_AS || l.Resource == unix.RLIMIT_DATA }) {
		return
	}
	need := 256 << 10
	for _, s := range slices.Concat(p.Argv, p.Env) {
		need += 2 * (len(s) + 64) // syscall.Exec copies it, and each copy has a place in a list
	}
	runtime.KeepAlive(make([]byte, need)) // garbage from here on
	runtime.GC()                          // its pages stay mapped, and are used again
	debug.SetGCPercent(-1)                // a cycle would want threads, and they stacks
}

// closeRest closes what whoever started the master left open by mistake. The
// report pipe and the plan are beyond the list and close by execve.
func (p *plan) closeRest() error {
	err := unix.CloseRange(uint(p.FDs), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// CLOSE_RANGE_CLOEXEC came with Linux 5.11 (close_range(2)).
	open, dirErr := os.ReadDir("/proc/self/fd")
	if dirErr != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= p.FDs {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// lookPath finds a program as execvp(3) does, in the worker's own PATH.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := "/usr/local/bin:/bin:/usr/bin"
	for _, v := range env {
		if rest, ok := strings.CutPrefix(v, "PATH="); ok {
			path = rest
			break // as getenv(3) does
		}
	}
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if st, err := os.Stat(full); err == nil && st.Mode().IsRegular() && unix.Access(full, unix.X_OK) == nil {
			return full, nil
		}
	}
	return "", fmt.Errorf("exec %s: not found in PATH (%s): %w", name, path, unix.ENOENT)
}

// explain says what a person needs to know of a program that cannot be
// executed.
func explain(path string, err error) error {
	var st unix.Stat_t
	statErr := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT) && statErr == nil:
		return fmt.Errorf("exec %s: it exists, but not the interpreter that its first line, or its ELF header, names: %w", path, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("exec %s: %w", path, err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("exec %s: neither a program for %s nor a script with a #! line: %w", path, runtime.GOARCH, err)
	case statErr == nil:
		return fmt.Errorf("exec %s (mode %04o, owner %d:%d) as uid %d: %w", path, st.Mode&0o7777, st.Uid, st.Gid, unix.Geteuid(), err)
	}
	return fmt.Errorf("exec %s: %w", path, err)
}
