package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// wrong has for each setting a text that is wrong and what is said about it,
// behind the place.
var wrong = []struct{ key, text, says string }{
	{"name", ".hidden", `".hidden" cannot name a pool: want 1 to 64 of A-Z a-z 0-9 _ . @ -, not beginning with . @ or -`},
	{"name", "", `is empty: want a value, or leave it out`},
	{"name", "a{slot}", `"a{slot}" cannot name a pool: want 1 to 64 of A-Z a-z 0-9 _ . @ -, not beginning with . @ or -`},
	{"workers", "many", `"many" is no worker count: want a number such as 4, or auto`},
	{"workers", "0", `0 is out of bounds: want 1 to 65536, or auto`},
	{"workers", "-1", `-1 is out of bounds: want 1 to 65536, or auto`},
	{"workers", "65537", `65537 is out of bounds: want 1 to 65536, or auto`},
	{"workers", "1.5", `"1.5" is no worker count: want a number such as 4, or auto`},
	{"listen", "nonsense", `address "nonsense": missing port in address: want host:port, :port, [v6]:port, unix:/path, unix:@name or systemd:NAME`},
	{"ready", "yes", `"yes" is no readiness: want auto, notify or alive:DURATION, for example alive:2s`},
	{"ready", "alive:", `alive: "" is no time span: want for example 30s, 500ms or 1m30s`},
	{"ready", "alive:5", `alive: "5" has no unit: want for example 5s, or 5ms`},
	{"ready", "alive:30s", `alive:30s is not below start_timeout 30s (default): no worker would ever be ready`},
	{"settle", "soon", `"soon" is no time span: want for example 30s, 500ms or 1m30s`},
	{"start_timeout", "30", `"30" has no unit: want for example 30s, or 30ms`},
	{"drain_timeout", "-3s", `"-3s" is negative: want 0 or more`},
	{"drain_delay", "9000h", `"9000h" is too long: want at most 8760h`},
	{"linger", "16s", `16s is above half of drain_timeout 30s (default): want at most 15s`},
	{"stop_signal", "KILL", `KILL cannot be caught, so no worker could drain: want a signal such as TERM, QUIT, INT or WINCH`},
	{"stop_signal", "19", `STOP cannot be caught, so no worker could drain: want a signal such as TERM, QUIT, INT or WINCH`},
	{"stop_signal", "TREM", `"TREM" is no signal: want a name such as TERM or SIGTERM, or a number such as 15`},
	{"stop_signal", "65", `signal 65 does not exist: want 1 to 64, or a name such as TERM`},
	{"surge", "0", `surge of 0: want at least 1 or 1%, a reload needs room for one worker more`},
	{"surge", "101%", `surge of 101%: want at most 100%, which replaces all workers at once`},
	{"surge", "all", `"all" is no surge: want a number of workers, for example 2, or a share of them, for example 25%`},
	{"start_parallel", "0", `0 is out of bounds: want 1 to 65536`},
	{"max_conns", "-1", `-1 is out of bounds: want 0 to 1073741824`},
	{"max_conns", "x", `"x" is no whole number: want 0 to 1073741824`},
	{"accept", "random", `"random" is not known: want auto, exclusive, fair, rotate, naive or blocking`},
	{"user", "no-such-user", `no user "no-such-user" on this machine: want one that ` + "`getent`" + ` knows, or a number`},
	{"group", "no-such-group", `no group "no-such-group" on this machine: want one that ` + "`getent`" + ` knows, or a number`},
	{"umask", "0888", `"0888" is no umask: want octal digits from 0000 to 0777, for example 0027`},
	{"umask", "1777", `"1777" is no umask: want octal digits from 0000 to 0777, for example 0027`},
	{"chdir", "/srv/{slot}", `"/srv/{slot}": {slot} expands in arguments and in values of env only`},
	{"nice", "20", `20 is out of bounds: want -20 to 19`},
	{"stderr", "drop", `"drop" is not known: want capture or inherit`},
	{"stdin_socket", "perhaps", `"perhaps" is no switch: want true or false`},
	{"store", "64", `store of 64: want 256KiB to 1024GiB`},
	{"store", "much", `store "much": want a size such as 64MiB`},
	{"store", "64MiB?full=panic", `store "64MiB?full=panic": option "full=panic": want full=evict or full=refuse`},
	{"store", "", `is empty: want a size such as 64MiB, a URL such as redis://127.0.0.1:6379/0, or none`},
	{"store", "redis://", `"redis://" names no server: want a URL such as redis://127.0.0.1:6379/0`},
	{"store", "redis://:se cret@host", `"redis://:***@host" holds a blank or a control character: want them percent-encoded`},
	{"store", "Redis 7://a", `"Redis 7://a" holds a blank or a control character: want them percent-encoded`},
	{"store", "://a", `"://a" has no scheme: want a URL such as redis://127.0.0.1:6379/0`},
	{"store_file", "/srv/{slot}", `"/srv/{slot}": {slot} expands in arguments and in values of env only`},
	{"control", "@abstract", `"@abstract" is an abstract address, which every user may connect to: want a path`},
	{"log_format", "xml", `"xml" is not known: want text or json`},
	{"log_level", "loud", `"loud" is not known: want trace, debug, info, warn or error`},
}

// wrongNamed are wrong entries of the settings of NAME=VALUE.
var wrongNamed = []struct{ key, name, value, says string }{
	{"rlimit", "nofil", "1", `"nofil" is no resource: want one of as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack`},
	{"rlimit", "nofile", "1K", `nofile: "1K" is no limit: want a number such as 1024, or unlimited`},
	{"rlimit", "as", "20000000T", `as: "20000000T" is no limit: want bytes such as 1024, 256M or 2G, or unlimited`},
	{"rlimit", "nofile", "10:5", `nofile: soft limit 10 above hard limit 5: want SOFT:HARD`},
	{"env", "PREFORK_SLOT", "1", `PREFORK_SLOT is what prefork itself tells its workers: want another name`},
	{"env", "LISTEN_FDS", "1", `LISTEN_FDS is what prefork itself tells its workers: want another name`},
	{"env", "A{slot}", "1", `"A{slot}": {slot} expands in the value, not in the name`},
}

func TestEverySettingHasAWrongValueInTheTable(t *testing.T) {
	has := map[string]bool{}
	for _, w := range wrong {
		has[w.key] = true
	}
	for _, w := range wrongNamed {
		has[w.key] = true
	}
	for _, s := range settings {
		if !has[s.key] {
			t.Errorf("no wrong value of %s is tried", s.key)
		}
	}
}

func expect(t *testing.T, o outcome, code int, line string) {
	t.Helper()
	if o.code != code || o.stdout != "" || o.stderr != "prefork: error: "+line+"\n" {
		t.Errorf("exit %d, stdout %q, stderr:\n%s\nwant exit %d and:\nprefork: error: %s", o.code, o.stdout, o.stderr, code, line)
	}
}

func TestWrongFlagIsNamedAndExits2(t *testing.T) {
	for _, w := range wrong {
		flag := settingOf(w.key).flag()
		expect(t, try(t, nil, "check", "--"+flag+"="+w.text, "--", "app"), 2, "--"+flag+": "+w.says)
	}
	for _, w := range wrongNamed {
		expect(t, try(t, nil, "run", "--"+w.key+"="+w.name+"="+w.value, "--", "app"), 2, "--"+w.key+": "+w.says)
	}
}

func TestWrongVariableIsNamedAndExits2(t *testing.T) {
	for _, w := range wrong {
		name := settingOf(w.key).variable()
		expect(t, try(t, []string{name + "=" + w.text}, "run", "--", "app"), 2, name+": "+w.says)
	}
	for _, w := range wrongNamed {
		name := settingOf(w.key).variable()
		expect(t, try(t, []string{name + "=" + w.name + "=" + w.value}, "check", "--", "app"), 2, name+": "+w.says)
	}
}

func TestWrongKeyIsNamedWithFileAndLineAndExits4(t *testing.T) {
	for _, w := range wrong {
		says := w.key + ": " + w.says
		value := strconv.Quote(w.text)
		switch settingOf(w.key).form {
		case list:
			value = "[" + value + "]"
		case flip:
			says = w.key + ": " + value + " is a string: want true or false, without quotes"
		}
		path := write(t, "command = [\"app\"]\n\n"+w.key+" = "+value+"\n")
		expect(t, try(t, nil, "run", "-c", path), 4, path+":3: "+says)
	}
	for _, w := range wrongNamed {
		path := write(t, fmt.Sprintf("command = [\"app\"]\n[%s]\n# comment\n%q = %q\n", w.key, w.name, w.value))
		o := try(t, nil, "check", "-c", path)
		if o.code != 4 || !strings.HasPrefix(o.stderr, "prefork: error: "+path+":4: ") || !strings.HasSuffix(o.stderr, ": "+w.says+"\n") {
			t.Errorf("exit %d, stderr:\n%s\nwant exit 4 and %s", o.code, o.stderr, w.says)
		}
	}
}

func TestValueOfTheWrongKindIsNamed(t *testing.T) {
	for _, w := range []struct{ line, says string }{
		{`workers = true`, `workers: is true or false: want a number or a string in quotes`},
		{`workers = 1.5`, `workers: is a number with a fraction: want a number or a string in quotes`},
		{`workers = [1]`, `workers: is a list: want a number or a string in quotes`},
		{`max_conns = {}`, `max_conns: is a table: want a number`},
		{`drain_timeout = 30`, `drain_timeout: "30" has no unit: want for example 30s, or 30ms`},
		{`umask = 22`, `umask: is a number: want a string in quotes`},
		{`name = 1979-05-27`, `name: is a date or time: want a string in quotes`},
		{`stdin_socket = 1`, `stdin_socket: is a number: want true or false`},
		{`listen = ":80"`, `listen: is a string: want a list of strings, for example [":8080"]`},
		{`listen = [80]`, `listen: item 1 is a number: want a string in quotes`},
		{`env = "A=b"`, `env: is a string: want a table, [env]`},
		{`env = { A = true }`, `env.A: is true or false: want a string in quotes`},
		{`rlimit = 5`, `rlimit: is a number: want a table, [rlimit]`},
		{`env = { "A=B" = "c" }`, `env: "A=B" is no name: want one without =`},
	} {
		path := write(t, "\n"+w.line+"\ncommand = [\"app\"]\n")
		expect(t, try(t, nil, "check", "-c", path), 4, path+":2: "+w.says)
	}
	path := write(t, "command = \"./app -x\"\n")
	o := try(t, nil, "check", "-c", path)
	if want := "prefork: error: " + path + `:1: command: is a string: want a list of strings, for example ["./app", "--flag"]`; o.code != 4 || firstLine(o.stderr) != want {
		t.Errorf("exit %d, stderr:\n%s\nwant:\n%s", o.code, o.stderr, want)
	}
}

func TestUnknownNamesAreErrorsWithTheNearestKnownOne(t *testing.T) {
	path := write(t, "command = [\"app\"]\ndrain-timeout = \"3s\"\nzzz = 1\n[tables]\nx = 1\n")
	o := try(t, []string{"PREFORK_RUN_WORKER=3", "PREFORK_RUN_workers=3", "PREFORK_RUN_QQQ=", "PREFORK_SLOT=2"}, "run", "-c", path)
	want := `prefork: error: PREFORK_RUN_QQQ: unknown variable
prefork: error: PREFORK_RUN_WORKER: unknown variable, did you mean PREFORK_RUN_WORKERS?
prefork: error: PREFORK_RUN_workers: unknown variable
prefork: error: FILE:2: unknown key "drain-timeout", did you mean "drain_timeout"?
prefork: error: FILE:3: unknown key "zzz"
prefork: error: FILE:4: unknown key "tables"
`
	if got := strings.ReplaceAll(o.stderr, path, "FILE"); o.code != 4 || got != want {
		t.Errorf("exit %d, stderr:\n%s\nwant:\n%s", o.code, got, want)
	}
}

func TestFlagsOfWhatIsNotThereYetAreUnknown(t *testing.T) {
	for _, name := range []string{"hang-timeout", "request-timeout", "max-requests", "max-age", "max-rss", "admin"} {
		o := try(t, nil, "run", "--"+name, "1", "--", "app")
		if o.code != 2 || firstLine(o.stderr) != "prefork: error: unknown flag --"+name {
			t.Errorf("--%s: exit %d: %s", name, o.code, o.stderr)
		}
		key := strings.ReplaceAll(name, "-", "_")
		path := write(t, key+" = 1\ncommand = [\"app\"]\n")
		if o := try(t, nil, "run", "-c", path); o.code != 4 || !strings.HasPrefix(o.stderr, "prefork: error: "+path+":1: unknown key \""+key+"\"") {
			t.Errorf("%s in the file: exit %d: %s", key, o.code, o.stderr)
		}
		if o := try(t, []string{envPrefix + strings.ToUpper(key) + "=1"}, "run", "--", "app"); o.code != 2 || !strings.Contains(o.stderr, ": unknown variable") {
			t.Errorf("%s as a variable: exit %d: %s", key, o.code, o.stderr)
		}
	}
}

// TestUnusableFilesAreRefusedAtOnce is row C5 of the faults: none of them may
// block, fill the memory or be taken for an empty configuration.
func TestUnusableFilesAreRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	make := func(name, text string) string {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	huge := make("huge", "")
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	loop := dir + "/loop"
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ path, says string }{
		{dir, ": is a folder: want a TOML file"},
		{fifo, ": is no regular file (p---------): want a TOML file"},
		{"/dev/null", ": is no regular file (Dc---------): want a TOML file"},
		{huge, ": is too large: 1073741824 bytes (max 1048576)"},
		{loop, ": too many levels of symbolic links"},
		{dir + "/none", ": no such file or directory"},
		{make("empty", ""), `: is empty: want at least one key, for example command = ["./app"]`},
		{make("blank", " \n\n"), `: is empty: want at least one key, for example command = ["./app"]`},
		{make("nul", "command = [\"a\"]\nname = \"\x00\"\n"), ":2: holds a NUL byte: want a text file"},
		{make("latin1", "command = [\"a\"]\nname = \"\xe9\"\n"), ":2:9: invalid UTF-8 character in basic string"},
		{make("syntax", "command = [\"a\"]\nname = \n"), ":2:8: unexpected character U+000A at start of value"},
		{make("twice", "name = \"a\"\nname = \"b\"\n"), ":2:1: key name is already defined"},
		{make("cut", "command = [\"a\"]\nname = \"ab"), ":2:10: unterminated basic string"},
	} {
		expect(t, try(t, nil, "run", "-c", f.path), 4, f.path+f.says)
	}
}

func TestUnreadableFileIsRefused(t *testing.T) {
	path := write(t, "command = [\"a\"]\n")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		// The thread alone becomes another user for files, which takes root's
		// rights over them (setfsuid(2), capabilities(7)); it ends with the
		// goroutine that stays locked to it.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if _, err := unix.SetfsuidRetUid(65534); err != nil {
				t.Error(err)
			}
		}
		_, err := readConfig(path)
		done <- err
	}()
	if err := <-done; !errors.Is(err, unix.EACCES) || err.Error() != "permission denied" {
		t.Errorf("%v", err)
	}
}

func TestCommandIsNeeded(t *testing.T) {
	const says = "prefork: error: command: no command: want a program, for example -- ./app, or command = [\"./app\"] in the file\n" +
		"prefork: hint: to see it work without a program of your own: prefork demo\n"
	path := write(t, "workers = 2\n")
	for _, c := range []struct {
		code int
		args []string
	}{
		{2, []string{"run"}},
		{2, []string{"run", "-w", "2", "--"}},
		{4, []string{"run", "-c", path}},
		{4, []string{"check", "-c", path}},
	} {
		if o := try(t, nil, c.args...); o.code != c.code || o.stderr != says {
			t.Errorf("%q: exit %d, want %d:\n%s", c.args, o.code, c.code, o.stderr)
		}
	}
	if o := try(t, []string{"PREFORK_RUN_COMMAND=./app"}, "run", "--", "x"); o.code != 2 ||
		firstLine(o.stderr) != "prefork: error: PREFORK_RUN_COMMAND: a command is no variable: want it after --, or as command = [...] in the file" {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

func TestValuesThatDoNotGoTogetherAreBothNamed(t *testing.T) {
	path := write(t, "command = [\"app\"]\nstart_timeout = \"5s\"\ndrain_timeout = \"4s\"\n")
	for _, c := range []struct {
		environ, args []string
		code          int
		says          string
	}{
		{
			nil, []string{"run", "--ready", "alive:5s", "-c", path}, 4,
			"--ready: alive:5s is not below start_timeout 5s (FILE:2): no worker would ever be ready",
		},
		{
			[]string{"PREFORK_RUN_START_TIMEOUT=2s"}, []string{"run", "--ready", "alive:3s", "--", "app"}, 2,
			"--ready: alive:3s is not below start_timeout 2s (PREFORK_RUN_START_TIMEOUT): no worker would ever be ready",
		},
		{
			[]string{"PREFORK_RUN_LINGER=3s"}, []string{"run", "-c", path}, 4,
			"PREFORK_RUN_LINGER: 3s is above half of drain_timeout 4s (FILE:3): want at most 2s",
		},
		{
			nil, []string{"run", "--linger", "1ms", "--drain-timeout", "0", "--", "app"}, 2,
			"--linger: 1ms is above half of drain_timeout 0s (--drain-timeout): want at most 0s",
		},
		{
			nil, []string{"run", "-l", ":80", "-l", "127.0.0.1:80", "--", "app"}, 2,
			`--listen: ":80" and "127.0.0.1:80" take the same place: want one of them`,
		},
	} {
		o := try(t, c.environ, c.args...)
		o.stderr = strings.ReplaceAll(o.stderr, path, "FILE")
		expect(t, o, c.code, c.says)
	}
	if o := try(t, nil, "check", "--ready", "alive:40s", "--start-timeout", "0", "--drain-timeout", "4s", "--", "app"); o.code != 0 ||
		!strings.Contains(o.stdout, `linger = "2s"`) {
		t.Errorf("no start timeout, and a default linger that gives way: exit %d:\n%s%s", o.code, o.stderr, o.stdout)
	}
}
