//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// foreign is a program that knows nothing of prefork, and how to ask it.
type foreign struct {
	name    string
	flags   []string
	command []string
	ask     func(conn net.Conn) (pid int, err error) // of the process that answers
}

// python is Debian's, whatever else the PATH has: the packages are its own.
const python = "/usr/bin/python3"

// programFile is the path of a program that the tests run as it is.
func programFile(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/programs", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// needPrograms skips a test where an interpreter is missing, and names it.
func needPrograms(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("missing: %s (Debian: python3, nodejs, gunicorn, php-cgi, strace)", name)
		}
	}
}

func gunicorn(t testing.TB, args ...string) []string {
	t.Helper()
	return append([]string{"gunicorn", "--chdir", filepath.Dir(programFile(t, "app.py"))}, args...)
}

func foreigners(t testing.TB) []foreign {
	return []foreign{
		{"python http.server", nil, []string{python, programFile(t, "http_server.py")}, askHTTP},
		{"python accept loop", nil, []string{python, programFile(t, "blocking.py")}, askHTTP},
		{"asyncio", nil, []string{python, programFile(t, "aio.py")}, askHTTP},
		{"node", nil, []string{"node", programFile(t, "server.js")}, askHTTP},
		{"gunicorn sync", nil, gunicorn(t, "-w", "1", "app:app"), askHTTP},
		{"gunicorn gthread", nil, gunicorn(t, "-w", "1", "-k", "gthread", "--threads", "2", "app:app"), askHTTP},
		{"gunicorn preload", nil, gunicorn(t, "-w", "1", "--preload", "app:app"), askHTTP},
		{"php-cgi", []string{"--stdin-socket", "--env", "PHP_FCGI_MAX_REQUESTS=0"}, []string{"php-cgi"},
			func(c net.Conn) (int, error) { return askFastCGI(c, programFile(t, "pid.php")) }},
		{"go", nil, RoleCommand(t, "web"), askHTTP},
	}
}

func askHTTP(conn net.Conn) (int, error) {
	body, _, err := exchange(conn, bufio.NewReader(conn), false)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(body)
}

// Every program runs, serves, is respawned, reloaded and stopped, as it is.
// The pools go through each step side by side: most of it is waiting for
// workers that say nothing to be taken as ready and to settle.
func TestProgramsRunUnmodified(t *testing.T) {
	needPrograms(t, python, "node", "gunicorn", "php-cgi")
	programs := foreigners(t)
	flags := []string{"-w", "2", "--start-timeout", "60s"}
	if !Full() {
		flags = append(flags, "--settle", "1s") // twice 2 s less than as it is
	}
	pools := make([]*Pool, len(programs))
	addr := make([]string, len(programs))
	for i, f := range programs {
		pools[i] = Start(t, Options{Flags: slices.Concat(flags, f.flags), Command: f.command, NoWait: true})
	}
	serves := func(step string) {
		t.Helper()
		for i, f := range programs {
			for range 8 {
				pid, err := askOnce(addr[i], f.ask)
				if err != nil {
					t.Fatalf("%s: %s: %v\n%s", f.name, step, err, pools[i].Err)
				}
				if !slices.Contains(pools[i].Processes(), pid) {
					t.Errorf("%s: %s: answered by %d, which is none of the pool's", f.name, step, pid)
				}
			}
		}
	}
	for i := range programs {
		pools[i].WaitReady(t)
		addr[i] = pools[i].Addr(t)
	}
	serves("started")

	old := make([][]int, len(programs))
	for i := range programs {
		old[i] = PIDs(Ready(pools[i].Status(t)))
		if len(old[i]) != 2 {
			t.Fatalf("%s: %d workers ready", programs[i].name, len(old[i]))
		}
		if err := syscall.Kill(old[i][0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range programs {
		s := pools[i].Until(t, f.name+": two workers again", hasReady(2, old[i][0]))
		if s.Generation != 1 {
			t.Errorf("%s: generation %d after a respawn", f.name, s.Generation)
		}
		old[i] = PIDs(Ready(s))
	}
	serves("respawned")

	errs := make(chan error, len(programs))
	for i, f := range programs {
		go func() {
			out, err := exec.Command(pools[i].binary, "reload", "--control", pools[i].Control).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: reload: %w: %s\n%s", f.name, err, out, pools[i].Err)
			}
			errs <- err
		}()
	}
	for range programs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for i, f := range programs {
		s := pools[i].Until(t, f.name+": the old workers gone", hasReady(2, old[i]...))
		if s.Generation != 2 {
			t.Errorf("%s: generation %d after a reload", f.name, s.Generation)
		}
	}
	serves("reloaded")

	for i := range programs {
		pools[i].Signal(t, syscall.SIGTERM)
	}
	for i, f := range programs {
		if code, sig := pools[i].Wait(t); code != 0 {
			t.Errorf("%s: stop: exit %d (signal %v)\n%s", f.name, code, sig, pools[i].Err)
		}
		if c, err := net.DialTimeout("tcp", addr[i], time.Second); err == nil {
			_ = c.Close()
			t.Errorf("%s: somebody listens after the stop", f.name)
		}
	}
}

func askOnce(addr string, ask func(net.Conn) (int, error)) (int, error) {
	conn, err := Dial(addr)()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return ask(conn)
}

// A shell that executes its program is no process of its own: what the master
// tells the worker reaches the program, and nothing is lost.
func TestProgramBehindExecutingShellLosesNothing(t *testing.T) {
	needPrograms(t, python)
	p := Start(t, Options{
		Flags:   []string{"-w", "2", "--settle", "500ms", "--ready", "alive:1s"},
		Command: []string{"sh", "-c", "exec " + python + " " + programFile(t, "drains.py")},
	})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	for range Count(t, 20) {
		load.Until(t, 200)
		p.Reload(t)
	}
	load.Until(t, 200)
	tally := load.Stop()
	Figure(t, "sh-exec", "%v", tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	p.Stop(t)
	for _, word := range []string{"without exec", "killed-behind-it"} {
		if strings.Contains(p.Err.String(), word) {
			t.Errorf("the log has %q", word)
		}
	}
}

// A shell that stays dies of the stop signal and takes its program with it:
// that is said at the start, and again when it has happened.
func TestProgramBehindStayingShellIsWarnedAbout(t *testing.T) {
	needPrograms(t, python)
	p := Start(t, Options{
		Flags:   []string{"-w", "2", "--settle", "500ms"},
		Command: []string{"sh", "-c", python + " " + programFile(t, "drains.py") + "; exit $?"},
	})
	if n := strings.Count(p.Err.String(), "shell without exec"); n != 1 {
		t.Errorf("%d warnings at the start", n)
	}
	if _, err := askOnce(p.Addr(t), askHTTP); err != nil {
		t.Fatal(err)
	}
	mark := p.Err.Len()
	p.Reload(t)
	p.Err.WaitAfter(t, mark, `killed-behind-it\W+python3 \(\d+\)`)
	if n := strings.Count(p.Err.String(), "shell without exec"); n != 1 {
		t.Errorf("%d warnings after a reload to the same command", n)
	}
}

// writeProgram makes an executable script in the pool's folder.
func writeProgram(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
