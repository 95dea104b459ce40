package master

import (
	"time"

	"golang.org/x/sys/unix"
)

// Config is one generation's configuration, complete: every default is filled
// in. cmd/prefork makes it from flags, environment and file; Validate checks
// what needs no look at the machine.
type Config struct {
	Name    string
	Control string // path of the control socket; "" none

	Command []string // program and arguments; {slot} expands in each argument
	Env     []EnvVar // added to the inherited environment, in this order; {slot} expands in values
	Chdir   string   // "" inherit; resolved anew at each spawn

	Workers int      // 1 or more
	Listen  []string // addresses as given, in order; empty: sockets that systemd passed, else the default

	Ready         Readiness
	Settle        *time.Duration // nil: 3s, 0 where every new worker is our Go library
	StartTimeout  time.Duration  // spawn to ready; 0: no limit
	DrainTimeout  time.Duration  // stop signal to KILL; 0: at once
	DrainDelay    time.Duration  // lame duck after TERM
	Linger        time.Duration
	StopSignal    unix.Signal
	Surge         Surge
	StartParallel int // 1 or more

	MaxConns    int    // of a Go worker; 0: no cap
	Accept      string // strategy of Go workers
	User, Group string // "" inherit; name or number
	Umask       int    // -1 inherit
	Nice        *int   // nil inherit
	Rlimits     []Rlimit
	Stderr      string // capture, inherit
	StdinSocket bool

	Store     Store
	StoreFile string // snapshot of a store in memory; "" none

	LogFormat string // text, json; "" text on a terminal or the journal, else json
	LogLevel  string // trace, debug, info, warn, error

	// Where names the place that gave a key its value, for messages about it:
	// "/etc/prefork/app.toml:7", "--drain-timeout", "PREFORK_RUN_WORKERS". A
	// key that is not in it has its default. Keys are the file's ("workers");
	// one variable or limit is "env.NAME", "rlimit.nofile". Reading a nil map
	// is fine. A control socket that is not in it may stay closed where its
	// folder cannot be written; one that was asked for may not.
	Where map[string]string
	// WorkersText is the text of workers in the file, "" when it has none,
	// or a flag or variable beats it: a scale holds until it changes.
	WorkersText string
}

// EnvVar is one variable of the workers' environment.
type EnvVar struct{ Key, Value string }

// Rlimit is one resource limit of a worker, soft and hard; RLIM_INFINITY is unlimited.
type Rlimit struct {
	Name     string // "nofile"
	Resource int    // unix.RLIMIT_NOFILE
	Cur, Max uint64
}

// Readiness says what counts as ready: DESIGN.md, `--ready`.
type Readiness struct {
	Mode  ReadyMode
	Alive time.Duration // with ReadyAlive: alive for so long since it was executed
}

// ReadyMode is the kind of a Readiness.
type ReadyMode int

// The kinds of readiness.
const (
	ReadyAuto ReadyMode = iota
	ReadyNotify
	ReadyAlive
)

// Surge is how many workers above the count a reload may run: a number, or a
// percentage of the count, rounded up. At least 1.
type Surge struct {
	N       int
	Percent bool
}

// Of gives the surge at a worker count.
func (s Surge) Of(workers int) int {
	n := s.N
	if s.Percent {
		n = (workers*s.N + 99) / 100
	}
	return max(1, n)
}
