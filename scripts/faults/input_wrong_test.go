//go:build faults

package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wrongStart is a start that must be refused before anything is done.
type wrongStart struct {
	name   string
	flags  []string
	env    []string
	lines  string // of a config file; "" none
	listen []string
	code   int
	says   string // pattern of the line
}

func (w wrongStart) start(t *testing.T, command []string) *Pool {
	t.Helper()
	lines := w.lines
	if lines != "" {
		lines += "command = " + tomlList(t, command...) + "\n"
	}
	o := Options{Flags: w.flags, Env: w.env, Config: lines, Listen: w.listen, NoWait: true}
	if lines == "" {
		o.Command = command
	}
	return Start(t, o)
}

// refused wants the pool to end with one line about it, and nothing else done;
// started is there when a worker was.
func (w wrongStart) refused(t *testing.T, p *Pool, started string) {
	t.Helper()
	refusesToStart(t, p, w.code, w.says)
	text := p.Err.String()
	var told []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "hint") && !strings.Contains(line, `"info"`) {
			told = append(told, line)
		}
	}
	if len(told) != 1 {
		t.Errorf("%d lines, want 1:\n%s", len(told), text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r < ' ' || r == 0xfffd || r == 0x7f }); i >= 0 {
		t.Errorf("control characters in %q", text)
	}
	if out := p.Out.String(); out != "" {
		t.Errorf("stdout has %q", out)
	}
	if _, err := os.Lstat(started); err == nil {
		t.Error("a worker was started")
	}
	if _, err := os.Lstat(p.Control); err == nil {
		t.Error("the control socket is left")
	}
}

// Whatever is wrong on the command line, in a variable, in the file or with an
// address gets one line that says what, where and what would be right. No
// worker was started, no socket is left, and nobody was told of readiness.
//
// cmd/prefork has a wrong value for every setting; here are the ways in which
// they come, and what only the machine can tell.
func TestWrongInputStartsNothing(t *testing.T) {
	dir := tempDir(t)
	sock := func(name string) string { return filepath.Join(dir, name) }
	taken, err := net.Listen("unix", sock("taken"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if err := os.WriteFile(sock("file"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sock("nowhere"), sock("link")); err != nil {
		t.Fatal(err)
	}
	started := sock("started")
	command := []string{"touch", started}

	// A place that is in use is tried for 5 s, meanwhile the others have their turn.
	busy := []wrongStart{
		{name: "a live socket in the way", listen: []string{"unix:" + sock("taken")}, code: 1, says: `taken.*(in use|listens)`},
		{name: "a port in use", listen: []string{port.Addr().String()}, code: 1, says: `listen.*` + regexp.QuoteMeta(port.Addr().String()) + `.*in use`},
	}
	busyPools := make([]*Pool, len(busy))
	for i, w := range busy {
		busyPools[i] = w.start(t, command)
	}
	for _, w := range []wrongStart{
		{name: "flag", flags: []string{"--wrokers", "2"}, code: 2, says: `unknown flag --wrokers`},
		{name: "flag of later", flags: []string{"--admin", ":1"}, code: 2, says: `unknown flag --admin`},
		{name: "flag without value", flags: []string{"--workers"}, code: 2, says: `--workers`},
		{name: "value of a flag", flags: []string{"-w", "0"}, code: 2, says: `--workers: 0 is out of bounds: want 1 to 65536, or auto`},
		{name: "huge value", flags: []string{"-w", "99999999999999999999"}, code: 2, says: `--workers: `},
		{name: "value with a newline", flags: []string{"--name", "a\nb"}, code: 2, says: `--name: "a\\nb" cannot name a pool`},
		{name: "value with an escape", flags: []string{"--name", "\x1b[31mred"}, code: 2, says: `--name: "\\x1b\[31mred" cannot`},
		{name: "value that is no UTF-8", flags: []string{"--name", "\xff\xfe"}, code: 2, says: `--name: "\\xff\\xfe" cannot`},
		{name: "empty value", flags: []string{"--name", ""}, code: 2, says: `--name: is empty`},
		{name: "duration", flags: []string{"--drain-timeout", "30"}, code: 2, says: `--drain-timeout: "30" has no unit: want for example 30s`},
		{name: "signal", flags: []string{"--stop-signal", "KILL"}, code: 2, says: `--stop-signal: KILL cannot be caught`},
		{name: "user", flags: []string{"--user", "no-such-user"}, code: 2, says: `--user: no user "no-such-user"`},
		{name: "group", flags: []string{"--group", "no-such-group"}, code: 2, says: `--group: no group "no-such-group"`},
		{name: "rlimit", flags: []string{"--rlimit", "as=lots"}, code: 2, says: `--rlimit: as: "lots" is no limit`},
		{name: "env", flags: []string{"--env", "PREFORK_SLOT=7"}, code: 2, says: `--env: PREFORK_SLOT is what prefork itself tells`},
		{name: "two that do not go together", flags: []string{"--ready", "alive:40s"}, code: 2, says: `--ready: alive:40s is not below start_timeout 30s`},
		{name: "linger and drain", flags: []string{"--linger", "20s"}, code: 2, says: `--linger: 20s is above half of drain_timeout 30s`},

		{name: "variable", env: []string{"PREFORK_RUN_WORKERS=many"}, code: 2, says: `PREFORK_RUN_WORKERS: "many" is no worker count`},
		{name: "unknown variable", env: []string{"PREFORK_RUN_WORKER=2"}, code: 2, says: `PREFORK_RUN_WORKER: unknown variable, did you mean PREFORK_RUN_WORKERS\?`},

		{name: "key", lines: "wrokers = 2\n", code: 4, says: `pool\.toml:1: unknown key "wrokers", did you mean "workers"\?`},
		{name: "value of a key", lines: "\nworkers = 0\n", code: 4, says: `pool\.toml:2: workers: 0 is out of bounds`},
		{name: "type of a key", lines: "workers = [2]\n", code: 4, says: `pool\.toml:1: workers: is a list: want a number`},
		{name: "no TOML", lines: "workers 2\n", code: 4, says: `pool\.toml:1:9: `},
		{name: "address in the file", lines: "\n\nlisten = [\"nonsense\"]\n", listen: []string{}, code: 4, says: `pool\.toml:3: .*address "nonsense": missing port`},
		{name: "overlap in the file", lines: "listen = [\":81\", \"127.0.0.1:81\"]\n", listen: []string{}, code: 4, says: `pool\.toml:1: .*":81" and "127.0.0.1:81" take the same place`},

		{name: "address", listen: []string{"nonsense"}, code: 2, says: `--listen: address "nonsense": missing port in address: want host:port`},
		{name: "port", listen: []string{"127.0.0.1:99999"}, code: 2, says: `--listen: address "127.0.0.1:99999": .*65535`},
		{name: "scheme", listen: []string{"http://127.0.0.1:80"}, code: 2, says: `--listen: address "http://127.0.0.1:80": `},
		{name: "option", listen: []string{"127.0.0.1:0?backlgo=1"}, code: 2, says: `--listen: .*backlgo`},
		{name: "value of an option", listen: []string{"127.0.0.1:0?backlog=many"}, code: 2, says: `--listen: .*backlog.*many`},
		{name: "option of the other family", listen: []string{"127.0.0.1:0?mode=0660"}, code: 2, says: `--listen: .*mode`},
		{name: "mode", listen: []string{"unix:" + sock("a") + "?mode=9"}, code: 2, says: `--listen: .*mode.*9`},
		{name: "relative path", listen: []string{"unix:"}, code: 2, says: `--listen: .*unix:`},
		{name: "path too long", listen: []string{"unix:/" + strings.Repeat("x", 120)}, code: 2, says: `--listen: .*107`},
		{name: "two of one", listen: []string{"127.0.0.1:81", "127.0.0.1:81"}, code: 2, says: `--listen: .*take the same place|--listen: .*twice`},
		{name: "systemd passed none", listen: []string{"systemd:web"}, code: 2, says: `systemd:web|"web"`},

		{name: "a file in the way", listen: []string{"unix:" + sock("file")}, code: 2, says: `file: a regular file is in the way`},
		{name: "a link in the way", listen: []string{"unix:" + sock("link")}, code: 2, says: `link: a symbolic link is in the way`},

		// What only the machine can tell is no usage error.
		{name: "address of another machine", listen: []string{"192.0.2.1:0"}, code: 1, says: `listen.*192\.0\.2\.1:0.*cannot assign requested address`},
		{name: "no folder", listen: []string{"unix:" + sock("none/a")}, code: 1, says: `none/a.*no such file or directory`},
		{name: "owner of the socket", listen: []string{"unix:" + sock("b") + "?user=no-such-user"}, code: 2, says: `no-such-user`},
	} {
		t.Run(w.name, func(t *testing.T) { w.refused(t, w.start(t, command), started) })
	}
	for i, w := range busy {
		t.Run(w.name, func(t *testing.T) { w.refused(t, busyPools[i], started) })
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if want := []string{"file", "link", "taken"}; !slices.Equal(names, want) {
		t.Errorf("left in the folder: %q, want %q", names, want)
	}
	if text, err := os.ReadFile(sock("file")); err != nil || string(text) != "precious" {
		t.Errorf("the file in the way: %q, %v", text, err)
	}
}

// No command, and commands of prefork that are wrong.
func TestWrongCommandLineIsUsage(t *testing.T) {
	for _, w := range []struct {
		args []string
		says string
	}{
		{nil, `no command`},
		{[]string{"rnu"}, `unknown command "rnu"`},
		{[]string{"run"}, `no command.*prefork demo`},
		{[]string{"run", "--"}, `no command`},
		{[]string{"reload", "a", "b"}, `.`},
		{[]string{"scale"}, `.`},
		{[]string{"scale", "many"}, `many`},
		{[]string{"status", "--jsno"}, `unknown flag --jsno`},
	} {
		code, out := RunCLI(t, Prefork(t), w.args...)
		if code != 2 || !regexp.MustCompile(`(?s)^prefork: error: .*`+w.says).MatchString(out) {
			t.Errorf("%q: exit %d: %s", w.args, code, out)
		}
	}
}

// What stands at the config file's path and is none is refused at once: at a
// start with 4, in a reload with 1, and the pool serves on.
func TestUnusableFileIsRefusedAtOnce(t *testing.T) {
	good := "workers = 1\ncommand = " + tomlList(t, RoleCommand(t, "web")...) + "\n"
	p := Start(t, Options{Config: good})
	pids := PIDs(Ready(p.Status(t)))
	for _, w := range unusableFiles(t) {
		if err := os.RemoveAll(p.Config); err != nil {
			t.Fatal(err)
		}
		if err := w.make(p.Config); err != nil {
			t.Fatal(err)
		}
		mark := p.Notify.Mark()
		code, out := p.CLI(t, "reload")
		if code != 1 || !regexp.MustCompile(w.says).MatchString(out) || !strings.Contains(out, "pool.toml") {
			t.Errorf("%s: reload: exit %d, want 1 and %q: %s", w.name, code, w.says, out)
		}
		p.Notify.WaitAfter(t, mark, "READY=1")
		if got := PIDs(p.Status(t).Workers); !slices.Equal(got, pids) {
			t.Errorf("%s: workers %d, want %d", w.name, got, pids)
		}
		code, out = RunCLI(t, p.binary, "run", "-c", p.Config, "--control", filepath.Join(p.Dir, "other.sock"), "-l", "127.0.0.1:0", "--", "true")
		if code != 4 || !regexp.MustCompile(w.says).MatchString(out) {
			t.Errorf("%s: start: exit %d, want 4 and %q: %s", w.name, code, w.says, out)
		}
		if rss := RSS(t, p.PID); rss > 100<<10 {
			t.Errorf("%s: the master has %d KiB", w.name, rss)
		}
	}
	if err := os.RemoveAll(p.Config); err != nil {
		t.Fatal(err)
	}
	if code, out := p.CLI(t, "reload"); code != 1 || !strings.Contains(out, "no such file") {
		t.Errorf("no file: exit %d: %s", code, out)
	}
	p.WriteConfig(t, good)
	p.Reload(t)
}

type unusableFile struct {
	name, says string
	make       func(path string) error
}

func unusableFiles(t testing.TB) []unusableFile {
	t.Helper()
	text := func(s string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
	}
	return []unusableFile{
		{"folder", `is a folder`, func(path string) error { return os.Mkdir(path, 0o755) }},
		{"FIFO", `is no regular file`, mkfifo},
		{"1 GB of nothing", `is too large: 1073741824 bytes`, func(path string) error {
			if err := text("")(path); err != nil {
				return err
			}
			return os.Truncate(path, 1<<30)
		}},
		{"empty", `is empty`, text("")},
		{"blank", `is empty`, text("\n \n")},
		{"NUL", `:2: holds a NUL byte`, text("workers = 1\nname = \"\x00\"\n")},
		{"loop of links", `too many levels of symbolic links`, func(path string) error { return os.Symlink(path, path) }},
		{"a device", `is no regular file`, func(path string) error { return os.Symlink("/dev/zero", path) }},
		{"binary", `.`, text("\x7fELF\x02\x01\x01")},
		{"half a line", `:1:`, text("workers = 1\ncommand = [\"/bin"[:9])},
		{"deep nesting", `.`, text("name = " + strings.Repeat("[", 20000) + "\n")},
	}
}

func TestUnreadableFileIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run a pool as another user")
	}
	dir := tempDir(t)
	path := filepath.Join(dir, "pool.toml")
	if err := os.WriteFile(path, []byte("command = [\"true\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := RunCLI(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Prefork(t), "run", "-c", path)
	if code != 4 || !strings.Contains(out, fmt.Sprintf("%s: permission denied", path)) {
		t.Errorf("exit %d: %s", code, out)
	}
}
