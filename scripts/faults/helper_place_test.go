//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"prefork/master/control"
)

// as runs a program as another user and gives its output.
func as(t testing.TB, uid uint32, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const connectProgram = `import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(b"*1\r\n$4\r\nPING\r\n")
print(s.recv(100))`

// The store's socket is the workers' user's, and nobody else's but root's.
func TestStoreSocketIsTheWorkersUsersAlone(t *testing.T) {
	needRoot(t)
	needPrograms(t, python)
	p := asleep(t, "--user", "nobody", "--group", "nogroup", "--rlimit", "as=256M", "--rlimit", "nofile=333:444")
	h := p.helper(t)
	var st syscall.Stat_t
	if err := syscall.Stat(h.Socket, &st); err != nil || st.Uid != 65534 || st.Mode&0o7777 != 0o600 || h.UID != 65534 {
		t.Errorf("%s: uid %d, mode %o, %v; status says %d", h.Socket, st.Uid, st.Mode&0o7777, err, h.UID)
	}
	if out, err := as(t, 65534, python, "-c", connectProgram, h.Socket); err != nil || !strings.Contains(out, "PONG") {
		t.Errorf("nobody cannot connect: %v\n%s", err, out)
	}
	for _, uid := range []uint32{1, 65533} {
		if out, err := as(t, uid, python, "-c", connectProgram, h.Socket); err == nil || !strings.Contains(out, "PermissionError") {
			t.Errorf("uid %d: %v\n%s", uid, err, out)
		}
	}
	pid := p.untilHelper(t, "the helper ready", inState(control.StateReady)).PID
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Umask:\t0077\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the helper has no %q:\n%s", want, status)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil || !strings.Contains(string(limits), " 444 ") {
		t.Errorf("the helper's limits: %v\n%s", err, limits)
	}
}

// A reload that gives the workers another user gives them a socket of their
// own; the old one goes with the old ones.
func TestReloadWithAnotherUserHasASocketForEach(t *testing.T) {
	needRoot(t)
	config := func(user string) string {
		return fmt.Sprintf("command = [\"sleep\", \"1000\"]\nworkers = 1\nready = \"alive:0s\"\nsettle = \"0s\"\nuser = %q\n", user)
	}
	p := Start(t, Options{Config: config("nobody")})
	first := p.helper(t)
	mustStore(t, first.Socket, "SET", "k", "v")
	p.WriteConfig(t, config("daemon"))
	p.Reload(t)
	second := p.untilHelper(t, "one socket again", func(h control.Helper) bool { return h.Socket != first.Socket })
	if got := mustStore(t, second.Socket, "GET", "k"); got != "v" || second.UID != 1 {
		t.Errorf("the next user's: %q, %+v", got, second)
	}
	Eventually(t, "no "+first.Socket, func() bool { _, err := os.Lstat(first.Socket); return os.IsNotExist(err) })
	Eventually(t, "one helper process", func() bool { return len(p.Processes()) == 3 })
}

// A reload that fails leaves the socket of the user that it tried behind no
// more than anything else.
func TestFailedReloadWithAnotherUserLeavesNoSocket(t *testing.T) {
	needRoot(t)
	config := func(user, command, listen string) string {
		return fmt.Sprintf("command = [%q, \"1000\"]\nworkers = 1\nready = \"alive:100ms\"\nsettle = \"0s\"\nuser = %q\nlisten = [%q]\n", command, user, listen)
	}
	p := Start(t, Options{Listen: []string{}, Config: config("nobody", "sleep", "127.0.0.1:0")})
	first := p.helper(t)
	mustStore(t, first.Socket, "SET", "k", "v")
	for _, wrong := range []string{
		config("daemon", "false", "127.0.0.1:0"),
		config("daemon", "sleep", "unix:/nowhere/at/all.sock"), // fails before it begins
	} {
		p.WriteConfig(t, wrong)
		if code, out := p.CLI(t, "reload"); code != 1 {
			t.Fatalf("exit %d: %s", code, out)
		}
		p.Until(t, "one socket", func(s control.Status) bool { return len(s.Store.Helpers) == 1 })
		if h := p.helper(t); h.Socket != first.Socket || h.State != control.StateReady {
			t.Errorf("helper %+v, was %+v", h, first)
		}
		Eventually(t, "no "+first.Socket+"-1", func() bool { _, err := os.Lstat(first.Socket + "-1"); return os.IsNotExist(err) })
	}
	if got := mustStore(t, first.Socket, "GET", "k"); got != "v" {
		t.Errorf("%q", got)
	}
}

// Where it cannot be beside the control socket it is elsewhere, and every
// worker is told.
func TestStoreSocketWithALongPathIsInTheTemporaryFolder(t *testing.T) {
	dir := filepath.Join(tempDir(t), strings.Repeat("d", 70))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(dir, strings.Repeat("c", 105-len(dir))) // 106 bytes, and .store is 6 more
	o := sleeping()
	p := Start(t, Options{Flags: append(o.Flags, "--control", control), Command: o.Command})
	p.Control = control
	h := p.helper(t)
	if strings.HasPrefix(h.Socket, dir) {
		t.Fatalf("socket %s", h.Socket)
	}
	mustStore(t, h.Socket, "PING")
	env := environ(t, p.Status(t).Workers[0].PID)
	if !strings.Contains(env, "\x00PREFORK_STORE=unix://"+h.Socket+"\x00") {
		t.Errorf("a worker's environment: %q", env)
	}
	folder := filepath.Dir(h.Socket)
	if st, err := os.Stat(folder); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v", folder, st, err)
	}
	p.Stop(t)
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("left behind: %s", folder)
	}
}

// Row C11: the store's size cannot be changed by a reload.
func TestReloadWithAnotherStoreIsRefusedByBothValues(t *testing.T) {
	config := func(store string) string {
		return fmt.Sprintf("command = [\"sleep\", \"1000\"]\nworkers = 1\nready = \"alive:0s\"\nsettle = \"0s\"\nstore = %q\n", store)
	}
	p := Start(t, Options{Config: config("8MiB")})
	socket := p.helper(t).Socket
	mustStore(t, socket, "SET", "k", "v")
	for _, other := range []string{"16MiB", "8MiB?full=refuse", "none", "redis://:hunter2@127.0.0.1:1/0"} {
		p.WriteConfig(t, config(other))
		code, out := p.CLI(t, "reload")
		shown := strings.ReplaceAll(other, "hunter2", "***")
		want := fmt.Sprintf("store: a reload cannot change it from %q to %q: that needs a restart", "8MiB", shown)
		if code != 1 || !strings.Contains(out, p.Config+":5: "+want) {
			t.Errorf("%s: exit %d: %s\nwant %s", other, code, out, want)
		}
	}
	if strings.Contains(p.Err.String(), "hunter2") {
		t.Error("the log has the password")
	}
	if got := mustStore(t, socket, "GET", "k"); got != "v" || p.Status(t).Generation != 1 {
		t.Errorf("after the refusals: %q", got)
	}
	p.WriteConfig(t, config("8192KiB")) // the same
	p.Reload(t)
}

// A URL goes to the workers as it is, and nowhere else.
func TestStoreURLIsToldToWorkersAlone(t *testing.T) {
	const url = "redis://shop:hunter2@127.0.0.1:1/0"
	o := sleeping()
	o.Env = []string{"PREFORK_RUN_STORE=" + url}
	p := Start(t, o)
	s := p.Status(t)
	env := environ(t, s.Workers[0].PID)
	if !strings.Contains(env, "\x00PREFORK_STORE="+url+"\x00") || strings.Contains(env, "store:") || strings.Contains(env, "PREFORK_RUN_") {
		t.Errorf("a worker's environment: %q", env)
	}
	_, table := p.CLI(t, "status")
	_, text := p.CLI(t, "status", "--json")
	for where, text := range map[string]string{"table": table, "json": text, "log": p.Err.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s has the password", where)
		}
	}
	if s.Store.Kind != "backend" || s.Store.URL != "redis://shop:***@127.0.0.1:1/0" || len(s.Store.Helpers) != 0 {
		t.Errorf("store %+v", s.Store)
	}
	none := asleep(t, "--store", "none")
	env = environ(t, none.Status(t).Workers[0].PID)
	if strings.Contains(env, "PREFORK_STORE=") || strings.Contains(env, ",store:") {
		t.Errorf("--store none: %q", env)
	}
}

// A store that is too large for a limit of the master is a start that says so.
func TestStoreThatIsTooLargeForALimitNamesIt(t *testing.T) {
	o := sleeping("--store", "64MiB")
	o.Wrap, o.NoWait = []string{"sh", "-c", `ulimit -f 1000; exec "$0" "$@"`}, true
	p := Start(t, o)
	if code, _ := p.Wait(t); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if text := p.Err.String(); !strings.Contains(text, "store of 64MiB: create store: ") || !strings.Contains(text, "file too large: the master's RLIMIT_FSIZE is ") {
		t.Errorf("it does not say why:\n%s", text)
	}
}
