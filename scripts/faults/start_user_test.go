//go:build faults

package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/worker"
)

var public sync.Once

// publicRole is RoleCommand for workers that run as another user: go test
// builds into a folder that only its own user may pass.
func publicRole(t testing.TB, name string, args ...string) []string {
	t.Helper()
	command := RoleCommand(t, name, args...)
	dir, err := builtDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "roles")
	public.Do(func() {
		text, err := os.ReadFile(command[0])
		if err == nil {
			err = os.WriteFile(path, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	command[0] = path
	return command
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run workers as another user")
	}
}

// publicProgram is programFile for workers that run as another user.
func publicProgram(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(programFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Two hundred starts as another user with little memory, from a shell that
// ignores HUP: every one is good. The worker is Python: a Go program ends
// before its main in less than some 600 MiB of addresses, which its runtime
// reserves (runtime, mpagealloc_64bit.go).
func TestStartsAsNobodyWithLittleMemory(t *testing.T) {
	needRoot(t)
	needPrograms(t, python, "nohup")
	program := publicProgram(t, "drains.py")
	n := Count(t, 200)
	good := 0
	for range n {
		p := Start(t, Options{
			Wrap:    []string{"nohup"},
			Flags:   []string{"-w", "2", "--user", "nobody", "--rlimit", "as=256M", "--ready", "alive:100ms", "--settle", "100ms"},
			Command: []string{python, program},
		})
		get(t, p.Addr(t))
		p.Stop(t)
		if !t.Failed() {
			good++
		}
	}
	Figure(t, "nobody-starts", "%d of %d good", good, n)
}

// The limit is the program's. What makes a process the worker is a Go program,
// which has mapped more than this before it begins and gets no page more; where
// its heap begins is random since Go 1.26, and with it whether it wants one. A
// large environment is what it handles then.
func TestMemoryLimitIsTheProgramsAlone(t *testing.T) {
	workers := Count(t, 500)
	var env []string
	for i := range 1000 {
		env = append(env, fmt.Sprintf("LARGE_%d=%s", i, strings.Repeat("x", 500)))
	}
	p := Start(t, Options{
		Flags:   []string{"-w", strconv.Itoa(workers), "--rlimit", "as=64M", "--rlimit", "data=16M", "--ready", "alive:0s", "--settle", "0s"},
		Env:     env,
		Command: []string{"sleep", "1000"},
	})
	if n := len(Ready(p.Status(t))); n != workers {
		t.Errorf("%d of %d are ready", n, workers)
	}
	if n := strings.Count(p.Err.String(), "worker ended"); n != 0 {
		t.Errorf("%d ended", n)
	}
}

// The role "stderr" opens /dev/stderr by its name, as nginx and php-fpm do.
var _ = Role("stderr", func([]string) {
	f, err := os.OpenFile("/dev/stderr", os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintln(f, "stderr: opened by its name")
	}
	if err != nil {
		fmt.Println("stderr:", err)
		os.Exit(1)
	}
	serveWeb()
})

// The role "dropper" becomes another user by itself, before it says READY.
var _ = Role("dropper", func([]string) {
	w, err := worker.Start()
	if err == nil {
		err = syscall.Setgroups(nil)
	}
	if err == nil {
		err = syscall.Setgid(65534)
	}
	if err == nil {
		err = syscall.Setuid(65534)
	}
	if err == nil {
		err = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, os.Getuid()) }))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dropper:", err)
		os.Exit(1)
	}
})

func serveWeb() { roles["web"](nil) }

func TestWorkerOfAnotherUserOpensItsStderr(t *testing.T) {
	needRoot(t)
	p := Start(t, Options{Flags: []string{"-w", "1", "--user", "nobody"}, Command: publicRole(t, "stderr")})
	p.Err.Wait(t, "stderr: opened by its name")
	p.Reload(t)
}

func TestWorkerThatDropsItsPrivilegesIsReady(t *testing.T) {
	needRoot(t)
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: publicRole(t, "dropper")})
	if uid := get(t, p.Addr(t)); uid != "65534" {
		t.Errorf("served by uid %s", uid)
	}
	p.Reload(t)
	s := p.Status(t)
	if err := syscall.Kill(s.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.Until(t, "two workers again", hasReady(2, s.Workers[0].PID))
}

// The role "regain" tries to be root again, on all of its threads.
var _ = Role("regain", func([]string) {
	w, err := worker.Start()
	if err == nil {
		err = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(out, syscall.Setuid(0), "; ", syscall.Setgid(0), "; ", syscall.Setgroups([]int{0}), "; ", os.WriteFile("/etc/prefork-regain", nil, 0o644))
		}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "regain:", err)
		os.Exit(1)
	}
})

// No thread of a worker has an id, a group or a capability of the master, none
// can get one back, and the limits are those that were asked for.
func TestWorkerHasNothingOfTheMastersRights(t *testing.T) {
	needRoot(t)
	p := Start(t, Options{
		Flags:   []string{"-w", "2", "--user", "nobody", "--group", "nogroup", "--umask", "0027", "--nice", "3", "--rlimit", "nofile=333:444", "--rlimit", "core=0"},
		Command: publicRole(t, "regain"),
	})
	if text := get(t, p.Addr(t)); strings.Count(text, "operation not permitted") != 3 || !strings.Contains(text, "permission denied") {
		t.Errorf("a worker could: %s", text)
	}
	for _, pid := range PIDs(p.Status(t).Workers) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`(?m)^Uid:\t65534\t65534\t65534\t65534$`, `(?m)^Gid:\t65534\t65534\t65534\t65534$`, `(?m)^Groups:\t(65534 ?)?$`,
				`(?m)^CapInh:\t0+$`, `(?m)^CapPrm:\t0+$`, `(?m)^CapEff:\t0+$`, `(?m)^CapAmb:\t0+$`, `(?m)^NoNewPrivs:\t1$`,
				`(?m)^Umask:\t0027$`,
			} {
				if !regexp.MustCompile(want).Match(text) {
					t.Errorf("thread %s of %d: no %q in:\n%s", task.Name(), pid, want, text)
				}
			}
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`Max open files +\d+ +444 `, `Max core file size +0 +0 `} {
			if !regexp.MustCompile(want).Match(limits) {
				t.Errorf("worker %d: no %q in:\n%s", pid, want, limits)
			}
		}
		if n, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || 20-n != 3 { // the raw call counts from 20: getpriority(2)
			t.Errorf("worker %d: nice %d, %v", pid, 20-n, err)
		}
	}
}

// A worker has what the contract names and nothing else: the standard three,
// the listeners, lifeline, scoreboard, store and the read end of its stderr.
func TestWorkerHasExactlyItsDescriptors(t *testing.T) {
	dir := tempDir(t)
	stray, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	p := Start(t, Options{
		Listen: []string{"127.0.0.1:0", "unix:" + dir + "/a", "unix:@prefork-test-" + filepath.Base(dir)},
		Flags:  []string{"-w", "2", "--ready", "alive:0s", "--settle", "0s"}, Command: []string{"sleep", "1000"},
		Files: []*os.File{stray, stray, stray}, // 3 to 5 of the master, without CLOEXEC
	})
	old := PIDs(p.Status(t).Workers)
	p.Reload(t)
	want := []string{
		"0 /dev/null", "1 pipe", "2 pipe", "3 socket", "4 socket", "5 socket",
		"6 pipe", "7 /memfd", "8 /memfd", "9 pipe",
	}
	for _, w := range p.Until(t, "the old workers gone", hasReady(2, old...)).Workers {
		// At first the program's loader opens libraries, for a moment.
		Eventually(t, fmt.Sprintf("worker %d has %q", w.PID, want), func() bool { return slices.Equal(numberedFDs(t, w.PID), want) },
			func() string { return fmt.Sprintf("it has %q", numberedFDs(t, w.PID)) })
	}
}

// numberedFDs gives the number and the kind of each descriptor of a process.
func numberedFDs(t testing.TB, pid int) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed since
		}
		kind, _, _ := strings.Cut(link, ":")
		have = append(have, e.Name()+" "+kind)
	}
	slices.Sort(have)
	return have
}
