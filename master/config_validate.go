package master

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// AcceptStrategies are the accept strategies of Go workers: DESIGN 7.
var AcceptStrategies = []string{"auto", "exclusive", "fair", "rotate", "naive", "blocking"}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Keys are what it is about, the file's names, the main one first.
	Keys []string
	// Where names the place: file:line, flag or variable; a key that has its
	// default stands there by its name.
	Where string
	// What says what is wrong and what would be right, on one line.
	What string
}

// Error is the problem on one line, the place first.
func (p *Problem) Error() string {
	if p.Where == "" {
		return p.What
	}
	return p.Where + ": " + p.What
}

// nameForm keeps a name fit for a file name, a log line and a unit's instance.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$`)

// ValidName says whether a pool may be called so.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// Validate checks everything that needs no look at the machine and joins all
// problems, each a *Problem. A config that passes can be handed to Run.
func (c *Config) Validate() error {
	v := validation{config: c}
	v.identity()
	v.command()
	v.environment()
	v.listeners()
	v.counts()
	v.times()
	v.worker()
	v.store()
	return errors.Join(v.problems...)
}

type validation struct {
	config   *Config
	problems []error
}

func (v *validation) add(key, format string, args ...any) {
	v.problems = append(v.problems, &Problem{
		Keys: []string{key}, Where: v.config.place(key), What: fmt.Sprintf(format, args...),
	})
}

// place names where a key got its value, and the key itself where that is not
// plain from the place.
func (c *Config) place(key string) string {
	where, given := c.Where[key]
	switch {
	case !given:
		return key
	case c.InFile(key):
		return where + ": " + key
	}
	return where
}

// CommandLine is the place of a command that stands after the flags.
const CommandLine = "command line"

// InFile says that a key got its value from the config file: what is wrong
// with it is then ExitConfig, not ExitUsage. Only places of a file end in a
// line.
func (c *Config) InFile(key string) bool { return fileLine.MatchString(c.Where[key]) }

var fileLine = regexp.MustCompile(`:[0-9]+$`)

func (v *validation) identity() {
	c := v.config
	if !ValidName(c.Name) {
		v.add("name", "%q cannot name a pool: want 1 to 64 of A-Z a-z 0-9 _ . @ -, not beginning with . @ or -", c.Name)
	}
	switch {
	case c.Control == "":
	case strings.HasPrefix(c.Control, "@"):
		v.add("control", "%q is an abstract address, which every user may connect to: want a path", c.Control)
	case len(c.Control) > maxSunPath:
		v.add("control", "path of %d bytes (max %d, unix(7)): want a shorter one", len(c.Control), maxSunPath)
	}
	v.plain("control", c.Control)
}

// maxSunPath is sizeof sun_path less its closing NUL: unix(7).
const maxSunPath = len(unix.RawSockaddrUnix{}.Path) - 1

func (v *validation) command() {
	c := v.config
	if len(c.Command) == 0 || c.Command[0] == "" {
		v.add("command", "no command: want a program, for example -- ./app, or command = [\"./app\"] in the file")
		return
	}
	v.plain("command", c.Command[0])
	for _, arg := range c.Command[1:] {
		if strings.ContainsRune(arg, 0) {
			v.add("command", "argument %q holds a NUL byte, which execve(2) cannot pass on", arg)
		}
	}
	v.plain("chdir", c.Chdir)
}

// plain checks a value in which {slot} does not expand: left as it is, it
// would be a strange name that nobody meant.
func (v *validation) plain(key, text string) {
	if strings.Contains(text, slotMark) {
		v.add(key, "%q: %s expands in arguments and in values of env only", text, slotMark)
	}
	if strings.ContainsRune(text, 0) {
		v.add(key, "%q holds a NUL byte", text)
	}
}

// masterVars are what the master itself puts into a worker's environment:
// DESIGN 5.
var masterVars = []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

func (v *validation) environment() {
	for _, e := range v.config.Env {
		key := "env." + e.Key
		switch {
		case e.Key == "" || strings.ContainsAny(e.Key, "=\x00"):
			v.add(key, "%q cannot name a variable: want a name without = and NUL", e.Key)
		case slices.Contains(masterVars, e.Key) || strings.HasPrefix(e.Key, "PREFORK_"):
			v.add(key, "%s is what prefork itself tells its workers: want another name", e.Key)
		case strings.ContainsRune(e.Value, 0):
			v.add(key, "value %q holds a NUL byte", e.Value)
		}
		if strings.Contains(e.Key, slotMark) {
			v.add(key, "%q: %s expands in the value, not in the name", e.Key, slotMark)
		}
	}
}

func (v *validation) listeners() {
	var addrs []sockets.Addr
	for _, text := range v.config.Listen {
		v.plain("listen", text)
		a, err := sockets.Parse(text)
		if err != nil {
			v.add("listen", "%v", err)
			continue
		}
		for _, other := range addrs {
			if a.Overlaps(other) {
				v.add("listen", "%q and %q take the same place: want one of them", other.String(), a.String())
			}
		}
		addrs = append(addrs, a)
	}
}

func (v *validation) counts() {
	c := v.config
	v.bounds("workers", c.Workers, 1, MaxWorkers)
	v.bounds("start_parallel", c.StartParallel, 1, MaxWorkers)
	v.bounds("max_conns", c.MaxConns, 0, 1<<30)
	if c.Surge.N < 1 {
		v.add("surge", "%d is out of bounds: want at least 1", c.Surge.N)
	}
	if c.Nice != nil {
		v.bounds("nice", *c.Nice, -20, 19)
	}
	if c.Umask != -1 && (c.Umask < 0 || c.Umask > 0o777) {
		v.add("umask", "%o is out of bounds: want 0000 to 0777", c.Umask)
	}
}

func (v *validation) bounds(key string, n, low, high int) {
	if n < low || n > high {
		v.add(key, "%d is out of bounds: want %d to %d", n, low, high)
	}
}

func (v *validation) times() {
	c := v.config
	for _, t := range []struct {
		key string
		d   time.Duration
	}{
		{"start_timeout", c.StartTimeout},
		{"drain_timeout", c.DrainTimeout},
		{"drain_delay", c.DrainDelay},
		{"linger", c.Linger},
	} {
		if t.d < 0 || t.d > MaxDuration {
			v.add(t.key, "%s is out of bounds: want 0 to %s", t.d, FormatDuration(MaxDuration))
		}
	}
	if c.Settle != nil && (*c.Settle < 0 || *c.Settle > MaxDuration) {
		v.add("settle", "%s is out of bounds: want 0 to %s", *c.Settle, FormatDuration(MaxDuration))
	}
	if c.Ready.Mode == ReadyAlive && c.StartTimeout > 0 && c.Ready.Alive >= c.StartTimeout {
		v.conflict("ready", c.Ready.String(), "not below", "start_timeout", FormatDuration(c.StartTimeout),
			"no worker would ever be ready")
	}
	if c.Linger > c.DrainTimeout/2 {
		v.conflict("linger", FormatDuration(c.Linger), "above half of", "drain_timeout", FormatDuration(c.DrainTimeout),
			"want at most "+FormatDuration(c.DrainTimeout/2))
	}
}

// conflict adds a problem of two values that do not go together, both named
// with their places.
func (v *validation) conflict(a, aText, relation, b, bText, advice string) {
	other := b + " " + bText
	if where, ok := v.config.Where[b]; ok {
		other += " (" + where + ")"
	} else {
		other += " (default)"
	}
	v.problems = append(v.problems, &Problem{
		Keys: []string{a, b}, Where: v.config.place(a),
		What: fmt.Sprintf("%s is %s %s: %s", aText, relation, other, advice),
	})
}

func (v *validation) worker() {
	c := v.config
	if c.StopSignal < 1 || c.StopSignal > maxSignal || c.StopSignal == unix.SIGKILL || c.StopSignal == unix.SIGSTOP {
		v.add("stop_signal", "%s cannot tell a worker to stop: want a signal that can be caught, such as TERM", FormatSignal(c.StopSignal))
	}
	v.choice("accept", c.Accept, AcceptStrategies...)
	v.choice("stderr", c.Stderr, "capture", "inherit")
	if c.LogFormat != "" {
		v.choice("log_format", c.LogFormat, "text", "json")
	}
	if c.LogLevel != "" {
		v.choice("log_level", c.LogLevel, LogLevels...)
	}
	v.plain("user", c.User)
	v.plain("group", c.Group)
}

// LogLevels are the levels of the log, hclog's.
var LogLevels = []string{"trace", "debug", "info", "warn", "error"}

func (v *validation) choice(key, text string, choices ...string) {
	if _, err := ParseChoice(text, choices...); err != nil {
		v.add(key, "%v", err)
	}
}

// Unchangeable says what differs between a running config and the next one
// that a reload cannot change; nil when the reload may go on.
func (c Config) Unchangeable(next Config) error {
	var problems []error
	for _, k := range []struct{ key, old, new string }{
		{"name", c.Name, next.Name},
		{"control", cleanPath(c.Control), cleanPath(next.Control)},
		{"store_file", cleanPath(c.StoreFile), cleanPath(next.StoreFile)},
	} {
		if k.old != k.new {
			problems = append(problems, &Problem{
				Keys: []string{k.key}, Where: next.place(k.key),
				What: fmt.Sprintf("a reload cannot change it from %q to %q: that needs a restart", k.old, k.new),
			})
		}
	}
	if what, changed := c.Store.unchangeable(next.Store); changed {
		problems = append(problems, &Problem{Keys: []string{"store"}, Where: next.place("store"), What: what})
	}
	return errors.Join(problems...)
}

// cleanPath is path.Clean, which leaves "" (no socket) as it is.
func cleanPath(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(p)
}
