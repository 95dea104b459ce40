package main

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master"
)

// setting is one row of the configuration: a key of the file, the flag and the
// variable PREFORK_RUN_* of the same name. All sources deliver texts, and one
// parse function reads them, so that a value means the same wherever it stands.
type setting struct {
	key   string // in the file: "drain_timeout"
	short string // letter of the flag, "" none
	arg   string // what the help calls the value; "" a switch
	def   string // the default, in words
	usage string

	form    form
	number  bool     // the file may give it as a whole number
	choices []string // all texts that it may have, for completion; nil: any
	// parse puts one text into the config; a list gets its texts in order.
	parse func(c *master.Config, text string) error
	// show is the effective value as TOML, "" when it is not set: check.
	show func(c *master.Config) string
}

// form says how many texts a setting takes and how sources combine.
type form int

const (
	single form = iota // the strongest source wins
	list               // many texts; the strongest source wins whole
	named              // NAME=VALUE texts; the strongest source wins by name
	flip               // true or false; the flag needs no value
)

// flag is the name of the flag.
func (s *setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

// variable is the name of the variable.
func (s *setting) variable() string { return envPrefix + strings.ToUpper(s.key) }

// envPrefix begins the name of each variable that configures run.
const envPrefix = "PREFORK_RUN_"

// settings are all rows, in the order of the reference. command is not among
// them: it is what stands after the flags, or a list in the file.
var settings = []*setting{
	{
		key: "name", arg: "NAME", def: "base name of the config file, else of the command",
		usage: "names the pool in logs, status and paths",
		parse: text(func(c *master.Config) *string { return &c.Name }),
		show:  func(c *master.Config) string { return quote(c.Name) },
	},
	{
		key: "workers", short: "w", arg: "N|auto", def: "auto: the CPUs that the cgroup allows", number: true,
		usage: "worker count",
		parse: parseWorkers,
		show:  func(c *master.Config) string { return strconv.Itoa(c.Workers) },
	},
	{
		key: "listen", short: "l", arg: "ADDR", def: "sockets that systemd passed, else " + master.DefaultListen, form: list,
		usage: "address to listen on: host:port, :port, tcp://host:port, unix:/path?mode=0660&group=www, unix:@abstract, systemd:NAME; options as query, for example ?name=web&backlog=4096 (repeatable)",
		parse: func(c *master.Config, text string) error {
			c.Listen = append(c.Listen, text)
			return nil
		},
		show: func(c *master.Config) string { return quoteList(c.Listen) },
	},
	{
		key: "ready", arg: "auto|notify|alive:DUR", def: "auto",
		usage: "what counts as ready: READY=1 (notify), having been alive for DUR, or what fits the worker (auto)",
		parse: value(func(c *master.Config) *master.Readiness { return &c.Ready }, master.ParseReadiness),
		show:  func(c *master.Config) string { return quote(c.Ready.String()) },
	},
	{
		key: "settle", arg: "DUR", def: "3s; 0 where every new worker is our Go library",
		usage: "how long all new workers must stay alive, once ready, before the first old one is told to stop",
		parse: func(c *master.Config, text string) error {
			d, err := master.ParseDuration(text)
			c.Settle = &d
			return err
		},
		show: func(c *master.Config) string {
			if c.Settle == nil {
				return ""
			}
			return quote(master.FormatDuration(*c.Settle))
		},
	},
	duration("start_timeout", "30s", "from a worker's spawn to ready; 0 is no limit",
		func(c *master.Config) *time.Duration { return &c.StartTimeout }),
	duration("drain_timeout", "30s", "from the stop signal to KILL; 0 kills at once",
		func(c *master.Config) *time.Duration { return &c.DrainTimeout }),
	duration("drain_delay", "0s", "keep accepting for so long after TERM, not ready",
		func(c *master.Config) *time.Duration { return &c.DrainDelay }),
	duration("linger", "5s, at most half the drain timeout", "Go workers: how long an idle connection may still bring a request when its worker drains",
		func(c *master.Config) *time.Duration { return &c.Linger }),
	{
		key: "stop_signal", arg: "SIG", def: "TERM",
		usage: "what tells a worker to stop (QUIT for nginx, unicorn, php-fpm; WINCH for httpd)",
		parse: value(func(c *master.Config) *unix.Signal { return &c.StopSignal }, master.ParseStopSignal),
		show:  func(c *master.Config) string { return quote(master.FormatSignal(c.StopSignal)) },
	},
	{
		key: "surge", arg: "N|N%", def: "100%", number: true,
		usage: "workers above the count during a reload",
		parse: value(func(c *master.Config) *master.Surge { return &c.Surge }, master.ParseSurge),
		show:  func(c *master.Config) string { return quote(c.Surge.String()) },
	},
	count("start_parallel", "max(8, 2 × CPUs)", "workers between spawn and ready at once", 1, master.MaxWorkers,
		func(c *master.Config) *int { return &c.StartParallel }),
	count("max_conns", "0: no cap", "connections that a Go worker holds at once; 1 is classic prefork", 0, maxConns,
		func(c *master.Config) *int { return &c.MaxConns }),
	choice("accept", "auto", "accept strategy of Go workers", master.AcceptStrategies,
		func(c *master.Config) *string { return &c.Accept }),
	{
		key: "user", arg: "USER", def: "inherit", number: true,
		usage: "user that workers run as, name or number",
		parse: text(func(c *master.Config) *string { return &c.User }),
		show:  func(c *master.Config) string { return quoteSet(c.User) },
	},
	{
		key: "group", arg: "GROUP", def: "the user's, else inherit", number: true,
		usage: "group that workers run as, name or number",
		parse: text(func(c *master.Config) *string { return &c.Group }),
		show:  func(c *master.Config) string { return quoteSet(c.Group) },
	},
	{
		key: "umask", arg: "OCTAL", def: "inherit",
		usage: "file mode creation mask of workers",
		parse: value(func(c *master.Config) *int { return &c.Umask }, master.ParseUmask),
		show:  showUmask,
	},
	{
		key: "rlimit", arg: "NAME=N", def: "inherit", form: named,
		usage: "resource limit of workers, for example nofile=1024, as=256M, core=unlimited, nofile=1024:4096 (repeatable)",
		parse: func(c *master.Config, text string) error {
			r, err := master.ParseRlimit(text)
			c.Rlimits = append(c.Rlimits, r)
			return err
		},
		show: showRlimits,
	},
	{
		key: "env", arg: "NAME=VALUE", def: "inherit", form: named,
		usage: "variable in the workers' environment; {slot} expands in the value (repeatable)",
		parse: func(c *master.Config, text string) error {
			v, err := master.ParseEnvVar(text)
			c.Env = append(c.Env, v)
			return err
		},
		show: showEnv,
	},
	{
		key: "chdir", arg: "DIR", def: "inherit",
		usage: "folder that workers start in; followed anew at each spawn",
		parse: text(func(c *master.Config) *string { return &c.Chdir }),
		show:  func(c *master.Config) string { return quoteSet(c.Chdir) },
	},
	{
		key: "nice", arg: "N", def: "inherit", number: true,
		usage: "nice value of workers, -20 to 19",
		parse: func(c *master.Config, text string) error {
			n, err := master.ParseCount(text, -20, 19)
			c.Nice = &n
			return err
		},
		show: func(c *master.Config) string {
			if c.Nice == nil {
				return ""
			}
			return strconv.Itoa(*c.Nice)
		},
	},
	choice("stderr", "capture", "what becomes of the workers' stderr: passed on and kept for messages (capture), or handed through (inherit)",
		[]string{"capture", "inherit"},
		func(c *master.Config) *string { return &c.Stderr }),
	{
		key: "stdin_socket", def: "off", form: flip,
		usage: "also hand the first listener as fd 0 (FastCGI, inetd)",
		parse: value(func(c *master.Config) *bool { return &c.StdinSocket }, parseBool),
		show:  func(c *master.Config) string { return strconv.FormatBool(c.StdinSocket) },
	},
	{
		key: "store", arg: "SIZE|URL|none", def: "64MiB",
		usage: "what all workers share: so much memory of this machine, reserved at its first use (64MiB?full=refuse refuses writes when it is full, instead of dropping what was not used for long), or a Redis or Valkey server (redis://HOST:PORT/0)",
		parse: value(func(c *master.Config) *master.Store { return &c.Store }, master.ParseStore),
		show:  func(c *master.Config) string { return quote(c.Store.String()) },
	},
	{
		key: "store_file", arg: "PATH", def: "none",
		usage: "keep a snapshot of a store in memory in this file: read at the start, written now and then and at the stop",
		parse: text(func(c *master.Config) *string { return &c.StoreFile }),
		show:  func(c *master.Config) string { return quoteSet(c.StoreFile) },
	},
	{
		key: "control", arg: "PATH", def: "$RUNTIME_DIRECTORY/control.sock, else /run/prefork/NAME.sock for root, else $XDG_RUNTIME_DIR/prefork/NAME.sock",
		usage: "control socket",
		parse: text(func(c *master.Config) *string { return &c.Control }),
		show:  func(c *master.Config) string { return quoteSet(c.Control) },
	},
	choice("log_format", "text on a terminal or the journal, else json", "form of the log on stderr", []string{"text", "json"},
		func(c *master.Config) *string { return &c.LogFormat }),
	choice("log_level", "info", "least level that is logged", master.LogLevels,
		func(c *master.Config) *string { return &c.LogLevel }),
}

// settingOf finds a row by its key.
func settingOf(key string) *setting {
	for _, s := range settings {
		if s.key == key {
			return s
		}
	}
	return nil
}
