//go:build faults

package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/control"
)

// send writes bytes to the control socket and reads what comes back.
func (p *Pool) send(t testing.TB, data []byte) []byte {
	t.Helper()
	c, err := net.Dial("unix", p.Control)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(data); err != nil && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return answer
}

// Whatever comes in at the control socket, the answer is one line with a
// reason, and the pool is as it was.
func TestControlSocketTakesAnyBytes(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	before := p.Status(t)
	fds, threads := len(FDs(t, p.PID)), Threads(t, p.PID)
	for name, w := range map[string]struct {
		data []byte
		says string
	}{
		"64 KiB of a line":   {append(bytes.Repeat([]byte{'x'}, control.MaxLine), '\n'), "request of more than 65536 bytes"},
		"1 MiB without end":  {bytes.Repeat([]byte{'{'}, 1<<20), "request of more than 65536 bytes"},
		"no JSON":            {[]byte("reload\n"), "request is not a JSON object"},
		"HTTP":               {[]byte("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), "request is not a JSON object"},
		"a list":             {[]byte("[]\n"), "request is not a JSON object"},
		"NUL bytes":          {append(make([]byte, 100), '\n'), "request is not a JSON object"},
		"an empty line":      {[]byte("\n"), "request is not a JSON object"},
		"an empty object":    {[]byte("{}\n"), `"`},
		"unknown command":    {[]byte(`{"command":"shutdown"}` + "\n"), "shutdown"},
		"command of a kind":  {[]byte(`{"command":7}` + "\n"), "request is not a JSON object"},
		"scale without N":    {[]byte(`{"command":"scale"}` + "\n"), "worker"},
		"scale to -1":        {[]byte(`{"command":"scale","workers":-1}` + "\n"), "-1"},
		"scale to a billion": {[]byte(`{"command":"scale","workers":1000000000}` + "\n"), "1000000000"},
		"scale to 2^64":      {[]byte(`{"command":"scale","workers":18446744073709551616}` + "\n"), "request is not a JSON object"},
		"escape sequences":   {[]byte(`{"command":"\u001b[31m\u0000\n"}` + "\n"), "command"},
		"deep nesting":       {[]byte(strings.Repeat("[", 60000) + "\n"), "request is not a JSON object"},
	} {
		answer := p.send(t, w.data)
		var a control.Answer
		if err := json.Unmarshal(answer, &a); err != nil || a.OK || a.Error == "" || !strings.Contains(a.Error, w.says) || bytes.Count(answer, []byte{'\n'}) != 1 {
			t.Errorf("%s: answered %q (%v), want an error with %q", name, answer, err, w.says)
		}
		if len(a.Error) > 4096 {
			t.Errorf("%s: an error of %d bytes", name, len(a.Error))
		}
	}
	if answer := p.send(t, []byte(`{"command":"status"}`+"\n"+`{"command":"stop"}`+"\n")); !bytes.Contains(answer, []byte(`"ok":true`)) || bytes.Count(answer, []byte{'\n'}) != 1 {
		t.Errorf("two requests: %.200q", answer)
	}
	after := p.Until(t, "no client left", func(s control.Status) bool { return len(FDs(t, p.PID)) <= fds+1 })
	if !slices.Equal(PIDs(after.Workers), PIDs(before.Workers)) || after.Generation != 1 || after.Phase != "running" {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if n := Threads(t, p.PID); n > threads+8 {
		t.Errorf("%d threads, %d before", n, threads)
	}
}

// A thousand clients at once, most of which stall: who is over the limit is
// told, the others get their answer, stalls end by themselves, and the pool
// serves, reloads and answers signals meanwhile.
func TestControlSocketSurvivesAThousandClients(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 2)
	load.Until(t, 10)
	fds := len(FDs(t, p.PID))
	n := Count(t, 1000)
	var stalled []net.Conn
	defer func() {
		for _, c := range stalled {
			_ = c.Close()
		}
	}()
	for i := range n {
		c, err := net.Dial("unix", p.Control)
		if err != nil {
			t.Fatal(err)
		}
		stalled = append(stalled, c)
		if i%2 == 0 {
			if _, err := c.Write([]byte(`{"command":`)); err != nil && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
		}
	}
	p.Signal(t, syscall.SIGHUP)
	p.Err.Wait(t, `reloaded.*"gen":2`)
	load.Until(t, 10)
	// The master gives a client five seconds for its line.
	began := time.Now()
	p.Until(t, "the stalled clients gone", func(control.Status) bool { return len(FDs(t, p.PID)) <= fds+2 })
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stalled clients held their places for %v", took)
	}
	answered := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			a, err := p.ask(control.Request{Command: control.CmdStatus})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && a.OK:
				answered++
			case err == nil && strings.Contains(a.Error, "try again"):
			case errors.Is(err, syscall.EAGAIN): // the queue of the socket is full: connect(2)
			case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
				// refused before its request was read: the answer may be lost
			default:
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	wg.Wait()
	Figure(t, "control-clients", "%d clients at once: %d answered, the others told to try again, or the queue was full", n, answered)
	if answered < min(n, 100)/2 {
		t.Errorf("%d of %d clients answered", answered, n)
	}
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// Who says that it sends no more, as a shell's pipe into socat does, still
// wants its answer.
func TestCallerThatSendsNoMoreGetsItsAnswer(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1", "--settle", "200ms"}, Command: RoleCommand(t, "web")})
	for _, command := range []string{control.CmdStatus, control.CmdReload} {
		c, err := net.Dial("unix", p.Control)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "{\"command\":%q}\n", command); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.Contains(answer, []byte(`"ok":true`)) {
			t.Errorf("%s: %v, %.200q", command, err, answer)
		}
	}
}

// Who asks and leaves ends its own wait, never the work.
func TestCallerThatLeavesDoesNotEndItsReload(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1", "--settle", "300ms"}, Command: RoleCommand(t, "web")})
	for range 3 {
		c, err := net.Dial("unix", p.Control)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(`{"command":"reload"}` + "\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(c).ReadBytes('\n'); err != nil { // it has begun
			t.Fatal(err)
		}
		_ = c.Close()
	}
	p.Until(t, "generation 3 or more", func(s control.Status) bool { return s.Generation >= 3 && s.Phase == "running" })
}

// Commands, signals and deaths in any order: each caller gets a definite
// answer, and what is left is a pool at its count.
func TestRacingCommandsEachGetAnAnswer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 2)
	var wg sync.WaitGroup
	for range Count(t, 500) {
		switch rnd.IntN(6) {
		case 0, 1:
			p.Signal(t, []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGUSR1, syscall.SIGCHLD, syscall.SIGPIPE}[rnd.IntN(8)])
		default:
			r := []control.Request{
				{Command: control.CmdStatus}, {Command: control.CmdVersion}, {Command: control.CmdReload},
				{Command: control.CmdScale, Workers: 1 + rnd.IntN(4)},
			}[rnd.IntN(4)]
			wg.Go(func() {
				a, err := p.ask(r)
				if err != nil || !a.OK && a.Error == "" {
					t.Errorf("%+v: %+v, %v", r, a, err)
				}
			})
		}
		if rnd.IntN(4) == 0 {
			load.Until(t, 1)
		}
	}
	wg.Wait()
	if code, out := p.CLI(t, "scale", "2"); code != 0 {
		t.Errorf("scale: exit %d: %s", code, out)
	}
	p.Until(t, "two workers", func(s control.Status) bool {
		return s.Phase == "running" && len(s.Workers) == 2 && len(Ready(s)) == 2
	})
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}

	// With a stop among them everybody is told, too.
	answers := make(chan control.Answer, 40)
	for i := range 40 {
		r := []control.Request{{Command: control.CmdReload}, {Command: control.CmdScale, Workers: 3}, {Command: control.CmdStatus}, {Command: control.CmdStop}}[i%4]
		wg.Go(func() {
			a, err := p.ask(r)
			gone := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
			if err != nil && !gone {
				t.Errorf("%+v: %v", r, err)
			}
			if err == nil {
				answers <- a
			}
		})
	}
	wg.Wait()
	close(answers)
	for a := range answers {
		if !a.OK && a.Error == "" {
			t.Errorf("no definite answer: %+v", a)
		}
	}
	if code, _ := p.Wait(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// The control socket is for root and for the master's own user.
func TestControlSocketIsClosedToOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to ask as another user")
	}
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	st, err := os.Stat(p.Control)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	as := func(args ...string) (int, string) {
		return RunCLI(t, "setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", p.binary}, args...)...)
	}
	if code, out := as("status", "--control", p.Control); code == 0 || !strings.Contains(out, "permission denied") {
		t.Errorf("another user: exit %d: %s", code, out)
	}
	// Even when somebody has opened the file's mode, the peer is checked.
	if err := os.Chmod(p.Control, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"status", "reload", "stop"} {
		if code, out := as(command, "--control", p.Control); code == 0 || !strings.Contains(out, "uid 65534 may not ask") {
			t.Errorf("another user, %s: exit %d: %s", command, code, out)
		}
	}
	if s := p.Status(t); s.Generation != 1 || s.Phase != "running" {
		t.Errorf("%+v", s)
	}
}

// Where the control socket cannot be had safely there is no start.
func TestControlSocketInABadPlaceIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to give folders and files to another user")
	}
	dir := tempDir(t)
	folder := func(name string, mode os.FileMode, uid int) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(path, 0o755), os.Chmod(path, mode), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(path, "c.sock")
	}
	fine := folder("fine", 0o755, 0)
	file := filepath.Join(dir, "fine", "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "fine", "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(dir, "fine", "live")
	ln, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, w := range []struct {
		path, says string
		code       int
	}{
		{folder("open", 0o777, 0), "has mode 0777, so that others can write it", 1},
		{folder("sticky", 0o777|os.ModeSticky, 0), "so that others can write it", 1},
		{folder("group", 0o775, 0), "so that others can write it", 1},
		{folder("foreign", 0o755, 65534), "belongs to uid 65534", 1},
		{file, "something else than a socket is there", 1},
		{link, "something else than a socket is there", 1},
		{live, "already running", 1},
		{filepath.Join(file, "below"), "not a directory", 1},
		{filepath.Join(dir, "fine", strings.Repeat("x", 200)), "(max 107, unix(7))", 2},
		{"@abstract", "every user may connect to", 2},
	} {
		code, out := RunCLI(t, Prefork(t), "run", "--control", w.path, "-l", "127.0.0.1:0", "--", "touch", filepath.Join(dir, "started"))
		if code != w.code || !strings.Contains(out, w.says) || !strings.Contains(out, "control") {
			t.Errorf("%s: exit %d, want %d and %q: %s", w.path, code, w.code, w.says, out)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "started")); err == nil {
		t.Error("a worker was started")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file in the way: %q, %v", text, err)
	}
	// And one that is left of a killed master is no obstacle.
	p := Start(t, Options{Flags: []string{"-w", "1", "--control", fine}, Command: RoleCommand(t, "web")})
	p.Control = fine
	workers := PIDs(p.Status(t).Workers)
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
	Eventually(t, "its worker gone", func() bool { return processState(workers[0]) == "" })
	again := Start(t, Options{Flags: []string{"-w", "1", "--control", fine}, Command: RoleCommand(t, "web")})
	again.Control = fine
	again.Status(t)
}

// Of two masters that want the same control socket one runs, and the other
// says so; also when they start in the same moment.
func TestSecondMasterIsRefused(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	pids := PIDs(p.Status(t).Workers)
	code, out := RunCLI(t, p.binary, "run", "--control", p.Control, "-l", "127.0.0.1:0", "--", "true")
	if code != 1 || !strings.Contains(out, "already running") || !strings.Contains(out, fmt.Sprintf("(pid %d)", p.PID)) {
		t.Errorf("exit %d: %s", code, out)
	}
	if got := PIDs(p.Status(t).Workers); !slices.Equal(got, pids) {
		t.Errorf("workers of the first: %d, want %d", got, pids)
	}

	for range Count(t, 20) {
		path := filepath.Join(tempDir(t), "c.sock")
		const masters = 4
		type end struct {
			code int
			out  string
		}
		ends := make(chan end, masters)
		for range masters {
			go func() {
				cmd := exec.Command(p.binary, "run", "--control", path, "-l", "127.0.0.1:0", "-w", "1", "--ready", "alive:0s", "--settle", "0s", "--", "sleep", "1000")
				cmd.Env = cleanEnviron()
				out, _ := cmd.CombinedOutput() // its code is what counts
				ends <- end{cmd.ProcessState.ExitCode(), string(out)}
			}()
		}
		for range masters - 1 {
			if e := <-ends; e.code != 1 || !strings.Contains(e.out, "already running") {
				t.Errorf("exit %d: %s", e.code, e.out)
			}
		}
		if code, out := RunCLI(t, p.binary, "stop", "--control", path); code != 0 {
			t.Errorf("stop the one that runs: exit %d: %s", code, out)
		}
		if e := <-ends; e.code != 0 {
			t.Errorf("the one that ran: exit %d: %s", e.code, e.out)
		}
	}
}

// Descriptors that a client passes along end nowhere.
func TestControlSocketTakesNoDescriptors(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	before := len(FDs(t, p.PID))
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fds := slices.Repeat([]int{int(null.Fd())}, 253) // the most that one message carries: unix(7), SCM_MAX_FD
	for range 10 {
		c, err := net.Dial("unix", p.Control)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.(*net.UnixConn).WriteMsgUnix([]byte(`{"command":"status"}`+"\n"), unix.UnixRights(fds...), nil)
		if err == nil {
			_, err = bufio.NewReader(c).ReadBytes('\n')
		}
		if err != nil && !errors.Is(err, syscall.EPERM) { // SO_PASSRIGHTS, Linux 6.16
			t.Fatal(err)
		}
		_ = c.Close()
	}
	Eventually(t, "no descriptor more", func() bool { return len(FDs(t, p.PID)) <= before })
}
