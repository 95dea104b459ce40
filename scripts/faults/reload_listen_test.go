//go:build faults

package faults

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prefork/master/control"
)

// address gives the bound address of a listener by its name.
func address(t testing.TB, s control.Status, name string) string {
	t.Helper()
	i := slices.IndexFunc(s.Listeners, func(l control.Listener) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("no listener %q in %+v", name, s.Listeners)
	}
	return s.Listeners[i].Address
}

// Listeners come, go and change under load; the one that stays never refuses.
func TestReloadAddsRemovesAndChangesListeners(t *testing.T) {
	dir := tempDir(t)
	sock := filepath.Join(dir, "web.sock")
	text := func(listen ...string) string {
		return fmt.Sprintf("workers = 2\nlisten = %s\ncommand = %s\n", tomlList(t, listen...), tomlList(t, RoleCommand(t, "web")...))
	}
	stays := "127.0.0.1:0?name=stays"
	p := Start(t, Options{Config: text(stays), Listen: []string{}})
	kept := address(t, p.Status(t), "stays")
	load := StartLoad(t, Dial(kept), 4)
	load.Until(t, 20)

	p.WriteConfig(t, text(stays, "unix:"+sock+"?mode=0600", "127.0.0.1:0?name=more"))
	p.Reload(t)
	s := p.Status(t)
	more := address(t, s, "more")
	if got := address(t, s, "stays"); got != kept {
		t.Errorf("the address that stayed went from %s to %s", kept, got)
	}
	if got := get(t, more); got == "" {
		t.Error("the new address answers nothing")
	}
	if _, err := askUnix(sock); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(sock); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket file: %v, %v", st, err)
	}

	// Options change, the socket stays: the same inode, nothing refused.
	p.WriteConfig(t, text(stays+"&backlog=77", "unix:"+sock+"?mode=0666"))
	p.Reload(t)
	s = p.Status(t)
	if l := s.Listeners[0]; l.Backlog != 77 || l.Address != kept {
		t.Errorf("after a new backlog: %+v", l)
	}
	if st, err := os.Stat(sock); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("socket file after a new mode: %v, %v", st, err)
	}
	Eventually(t, "the removed address refused", func() bool {
		c, err := net.Dial("tcp", more)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := askUnix(sock); err != nil {
		t.Error(err)
	}

	p.WriteConfig(t, text(stays))
	p.Reload(t)
	Eventually(t, "the socket file gone", func() bool { _, err := os.Lstat(sock); return os.IsNotExist(err) })
	load.Until(t, 20)
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// What cannot be bound fails the reload as a whole: nothing of it is left.
func TestReloadThatCannotBindChangesNothing(t *testing.T) {
	dir := tempDir(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	alive, err := net.Listen("unix", filepath.Join(dir, "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	text := func(listen ...string) string {
		return fmt.Sprintf("workers = 1\nlisten = %s\ncommand = %s\n", tomlList(t, listen...), tomlList(t, RoleCommand(t, "web")...))
	}
	p := Start(t, Options{Config: text("127.0.0.1:0"), Listen: []string{}})
	s := p.Status(t)
	addr := s.Listeners[0].Address
	_, port, _ := net.SplitHostPort(addr)
	pids := PIDs(Ready(s))
	fds := p.descriptors(t)
	for _, w := range []struct{ listen, says string }{
		{taken.Addr().String(), `listen .*` + regexp.QuoteMeta(taken.Addr().String()) + `.*address already in use`},
		{"0.0.0.0:" + port, `needs a restart`},
		{"192.0.2.1:0", `192\.0\.2\.1:0.*cannot assign requested address`},
		{"unix:" + file, file + `: a regular file is in the way`},
		{"unix:" + dir + "/alive", dir + `/alive.*(in use|listens)`},
		{"unix:" + dir + "/none/sock", dir + `/none/sock.*no such file or directory`},
		{"unix:" + dir + "/x?user=no-such-user", `no-such-user`},
		{"unix:/" + strings.Repeat("x", 120), `107`},
		{"nonsense", `pool\.toml:2: .*nonsense`},
		{"systemd:web", `systemd:web|"web"`},
	} {
		listen := []string{"127.0.0.1:0", "unix:" + dir + "/side", w.listen}
		if strings.HasPrefix(w.says, "needs") {
			listen = listen[1:] // the socket of 127.0.0.1 leaves, and is still open
		}
		p.WriteConfig(t, text(listen...))
		if code, out := p.CLI(t, "reload"); code != 1 || !regexp.MustCompile(w.says).MatchString(out) || !strings.Contains(out, "pool.toml:2") {
			t.Errorf("%s: exit %d, want 1, pool.toml:2 and %q:\n%s", w.listen, code, w.says, out)
		}
		s := p.Status(t)
		if got := PIDs(s.Workers); !slices.Equal(got, pids) || len(s.Listeners) != 1 || s.Listeners[0].Address != addr {
			t.Errorf("%s: %+v", w.listen, s)
		}
		if _, err := os.Lstat(dir + "/side"); !os.IsNotExist(err) {
			t.Errorf("%s: the other new socket is left: %v", w.listen, err)
		}
		p.atMost(t, w.listen, fds)
	}
	if _, err := os.Lstat(dir + "/alive"); err != nil {
		t.Errorf("another program's socket: %v", err)
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("another program's file: %v", err)
	}
	p.WriteConfig(t, text("127.0.0.1:0"))
	p.Reload(t)
	if got := p.Addr(t); got != addr {
		t.Errorf("the listener went from %s to %s", addr, got)
	}
}

// A stale socket file at a new address is taken over.
func TestReloadTakesOverAStaleSocketFile(t *testing.T) {
	dir := tempDir(t)
	sock := filepath.Join(dir, "web.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	if st, err := os.Lstat(sock); err != nil || st.Mode().Type() != fs.ModeSocket {
		t.Fatalf("%v, %v", st, err)
	}
	p := Start(t, Options{Listen: []string{"unix:" + sock}, Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	for range 2 {
		if _, err := askUnix(sock); err != nil {
			t.Error(err)
		}
		p.Reload(t)
	}
}

// askUnix asks once over a Unix socket, and gives the pid that answers.
func askUnix(path string) (int, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return askHTTP(conn)
}
