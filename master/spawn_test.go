package master

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

func TestTheMastersOwnVariablesAreNotInherited(t *testing.T) {
	for _, own := range []string{"LISTEN_PID=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=a", "NOTIFY_SOCKET=/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "PREFORK_SLOT=0", "PREFORK_RUN_WORKERS=3"} {
		if !ownVariable(own) {
			t.Errorf("%s would be inherited", own)
		}
	}
	for _, other := range []string{"PATH=/bin", "LISTEN_ADDR=:80", "LD_PRELOAD=x", "MY_PREFORK_X=1", "JOURNAL_STREAM=1:2"} {
		if ownVariable(other) {
			t.Errorf("%s would be taken away", other)
		}
	}
}

// getenv(3), and os.Getenv of Go, take the first entry of a name.
func TestAVariableOfTheConfigTakesThePlaceOfAnInheritedOne(t *testing.T) {
	g := &generation{cfg: Config{Env: []EnvVar{{"MODE", "b"}, {"PATH", "/srv/bin"}}}}
	env := append(g.environment([]string{"MODE=a", "MODEL=x", "PATH=/bin", "MODE=c"}), g.cfg.EnvOf(0)...)
	for name, want := range map[string]string{"MODE": "b", "MODEL": "x", "PATH": "/srv/bin"} {
		var values []string
		for _, entry := range env {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				values = append(values, value)
			}
		}
		if len(values) != 1 || values[0] != want {
			t.Errorf("%s is %q in the worker's environment, want %q alone", name, values, want)
		}
	}
}

func TestAProgramIsLookedUpInTheWorkersOwnPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/nowhere:" + dir}
	if got, err := lookPath("app", env); err != nil || got != filepath.Join(dir, "app") {
		t.Errorf("lookPath(app) = %q, %v", got, err)
	}
	if got, err := lookPath("./app", env); err != nil || got != "./app" {
		t.Errorf("a path with a slash is taken as given: %q, %v", got, err)
	}
	for _, name := range []string{"absent", "notes"} {
		if _, err := lookPath(name, env); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "/nowhere:"+dir) {
			t.Errorf("lookPath(%s): %v, want not found, with the PATH", name, err)
		}
	}
}

func TestTheReasonOfAFailedExecNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		path string
		err  unix.Errno
		want string
	}{
		{write("script", "#!/no/such/sh\n", 0o755), unix.ENOENT, "not the interpreter"},
		{filepath.Join(dir, "absent"), unix.ENOENT, "no such file or directory"},
		{write("data", "x", 0o755), unix.ENOEXEC, "neither a program for"},
		{write("plain", "x", 0o644), unix.EACCES, "mode 0644"},
	} {
		if got := explain(c.path, c.err).Error(); !strings.Contains(got, c.want) || !strings.Contains(got, c.path) {
			t.Errorf("explain(%s, %v) = %q, want %q in it", c.path, c.err, got, c.want)
		}
	}
}

func TestIdentitiesThatDoNotExistAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ user, group, want string }{
		{"no-such-user", "", `user "no-such-user" does not exist`},
		{"", "no-such-group", `group "no-such-group" does not exist`},
		{"-5", "", `user "-5" does not exist`},
		{"64123", "", `user 64123 has no entry`},
		// setresuid(2) and setresgid(2) take it for "leave it as it is": root's.
		{"4294967295", "", `user "4294967295" does not exist`},
		{"", "4294967295", `group "4294967295" does not exist`},
	} {
		if _, _, err := lookIdentity(c.user, c.group); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("lookIdentity(%q, %q): %v, want %q", c.user, c.group, err, c.want)
		}
	}
	id, _, err := lookIdentity("", "")
	if err != nil || id.drop || id.uid != os.Geteuid() {
		t.Errorf("nobody named: %+v, %v", id, err)
	}
}

func TestANumberWithoutAnEntryHasNoOtherGroupThanItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run workers as somebody else")
	}
	const nobodys = "3999999999" // of no account
	id, _, err := lookIdentity(nobodys, "0")
	if err != nil || id.uid != 3999999999 || id.gid != 0 || !slices.Equal(id.groups, []int{0}) {
		t.Errorf("%+v, %v: want the group that was asked for, alone", id, err)
	}
}

func TestAGroupThatDoesNotExistIsTheGroupsMistake(t *testing.T) {
	m := &master{log: hclog.NewNullLogger(), cfg: Config{
		Group: "no-such-group", Where: map[string]string{"group": "/etc/app.toml:3"},
	}}
	_, err := look(m.cfg)
	if m.startCode(err) != ExitConfig || !strings.Contains(err.Error(), "/etc/app.toml:3: group: ") {
		t.Errorf("%v, exit code %d: want the line of the file, and %d", err, m.startCode(err), ExitConfig)
	}
}

func TestTheNotifyFolderIsTakenOverOnlyWhenItIsOurs(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "pool.sock")
	var f notifyFolder
	if err := f.open(control); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "pool.sock.notify"))
	if err != nil || st.Mode().Perm() != 0o711 || f.beside == "" {
		t.Fatalf("folder %q: %v, %v", f.beside, st, err)
	}
	f.close()
	if _, err := os.Stat(f.beside); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
	if err := os.Symlink("/tmp", filepath.Join(dir, "pool.sock.notify")); err != nil {
		t.Fatal(err)
	}
	var g notifyFolder
	if err := g.open(control); err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if g.beside != "" || g.temp == "" {
		t.Errorf("a symlink in the way was followed: %+v", g)
	}
}

func TestALongControlPathMovesTheNotifyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var f notifyFolder
	if err := f.open(filepath.Join(dir, "pool.sock")); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if f.beside != "" || f.temp == "" {
		t.Errorf("sockets would not fit into %q", f.beside)
	}
}
