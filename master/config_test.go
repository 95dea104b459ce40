package master_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master"
	"prefork/sockets"
)

// sound is a config in which nothing is wrong.
func sound() master.Config {
	return master.Config{
		Name: "shop", Command: []string{"./app"}, Workers: 2,
		StartTimeout: 30 * time.Second, DrainTimeout: 30 * time.Second, Linger: 5 * time.Second,
		StopSignal: unix.SIGTERM, Surge: master.Surge{N: 100, Percent: true}, StartParallel: 8,
		Accept: "auto", Umask: -1, Stderr: "capture",
	}
}

func TestSoundConfigHasNoProblem(t *testing.T) {
	c := sound()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.Command = []string{"./app", "--slot={slot}"}
	c.Env = []master.EnvVar{{Key: "PORT", Value: "80{slot}"}}
	c.Listen = []string{":0", ":0", "unix:/run/a.sock", "systemd:web"}
	c.StartTimeout, c.DrainTimeout, c.Linger = 0, 0, 0
	c.Ready = master.Readiness{Mode: master.ReadyAlive, Alive: time.Hour}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateJoinsAllProblemsWithTheirPlaces(t *testing.T) {
	c := sound()
	c.Name = "-x"
	c.Workers = 0
	c.Command = []string{"a\x00"}
	c.Accept = "odd"
	c.Control = "/run/" + strings.Repeat("x", 110)
	c.Where = map[string]string{"workers": "app.toml:3", "name": "--name"}
	err := c.Validate()
	want := []string{
		`--name: "-x" cannot name a pool: want 1 to 64 of A-Z a-z 0-9 _ . @ -, not beginning with . @ or -`,
		`control: path of 115 bytes (max 107, unix(7)): want a shorter one`,
		`command: "a\x00" holds a NUL byte`,
		`app.toml:3: workers: 0 is out of bounds: want 1 to 65536`,
		`accept: "odd" is not known: want auto, exclusive, fair, rotate, naive or blocking`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got:\n%v\nwant:\n%s", err, strings.Join(want, "\n"))
	}
	var p *master.Problem
	if !errors.As(err, &p) || !slices.Equal(p.Keys, []string{"name"}) {
		t.Errorf("first problem: %+v", p)
	}
}

// TestValidateLooksAtEveryField changes each field to something wrong.
func TestValidateLooksAtEveryField(t *testing.T) {
	long := -time.Second
	nice := 40
	for field, spoil := range map[string]func(*master.Config){
		"Name":          func(c *master.Config) { c.Name = "" },
		"Control":       func(c *master.Config) { c.Control = "@x" },
		"Command":       func(c *master.Config) { c.Command = nil },
		"Env":           func(c *master.Config) { c.Env = []master.EnvVar{{Key: "NOTIFY_SOCKET"}} },
		"Chdir":         func(c *master.Config) { c.Chdir = "/{slot}" },
		"Workers":       func(c *master.Config) { c.Workers = master.MaxWorkers + 1 },
		"Listen":        func(c *master.Config) { c.Listen = []string{"x"} },
		"Ready":         func(c *master.Config) { c.Ready = master.Readiness{Mode: master.ReadyAlive, Alive: time.Minute} },
		"Settle":        func(c *master.Config) { c.Settle = &long },
		"StartTimeout":  func(c *master.Config) { c.StartTimeout = -1 },
		"DrainTimeout":  func(c *master.Config) { c.DrainTimeout = math.MaxInt64 },
		"DrainDelay":    func(c *master.Config) { c.DrainDelay = -1 },
		"Linger":        func(c *master.Config) { c.Linger = 16 * time.Second },
		"StopSignal":    func(c *master.Config) { c.StopSignal = unix.SIGKILL },
		"Surge":         func(c *master.Config) { c.Surge = master.Surge{} },
		"StartParallel": func(c *master.Config) { c.StartParallel = 0 },
		"MaxConns":      func(c *master.Config) { c.MaxConns = -1 },
		"Accept":        func(c *master.Config) { c.Accept = "" },
		"User":          func(c *master.Config) { c.User = "u{slot}" },
		"Group":         func(c *master.Config) { c.Group = "g\x00" },
		"Umask":         func(c *master.Config) { c.Umask = 0o1000 },
		"Nice":          func(c *master.Config) { c.Nice = &nice },
		"StoreFile":     func(c *master.Config) { c.StoreFile = "/srv/{slot}" },
		"Stderr":        func(c *master.Config) { c.Stderr = "" },
		"LogFormat":     func(c *master.Config) { c.LogFormat = "xml" },
		"LogLevel":      func(c *master.Config) { c.LogLevel = "loud" },
	} {
		c := sound()
		spoil(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: nothing is said of a wrong value", field)
		}
		checked[field] = true
	}
	// Nothing can be wrong with a bool; limits and the store are checked as they
	// are parsed; the other two are about the config itself.
	for _, free := range []string{"StdinSocket", "Rlimits", "Store", "Where", "WorkersText"} {
		checked[free] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[master.Config]()) {
		if !checked[f.Name] {
			t.Errorf("%s is not checked", f.Name)
		}
	}
}

var checked = map[string]bool{}

func TestAcceptStrategiesAreThoseOfSockets(t *testing.T) {
	for _, name := range master.AcceptStrategies {
		if _, err := sockets.ParseStrategy(name); err != nil {
			t.Error(err)
		}
	}
}

func TestNameAndControlCannotBeReloaded(t *testing.T) {
	c := sound()
	c.Control = "/run/a.sock"
	next := c
	next.Workers, next.Control, next.Command = 9, "/run//a.sock", []string{"other"}
	if err := c.Unchangeable(next); err != nil {
		t.Error(err)
	}
	next.Name, next.Control = "blog", ""
	next.Where = map[string]string{"name": "/etc/app.toml:2"}
	want := `/etc/app.toml:2: name: a reload cannot change it from "shop" to "blog": that needs a restart
control: a reload cannot change it from "/run/a.sock" to "": that needs a restart`
	if err := c.Unchangeable(next); err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestSlotExpandsInArgumentsAndValues(t *testing.T) {
	c := sound()
	c.Command = []string{"app", "{slot}", "a{slot}b{slot}", "{Slot}"}
	c.Env = []master.EnvVar{{Key: "PORT", Value: "80{slot}"}, {Key: "E"}}
	if got := c.Argv(12); !slices.Equal(got, []string{"app", "12", "a12b12", "{Slot}"}) {
		t.Errorf("%q", got)
	}
	if got := c.EnvOf(3); !slices.Equal(got, []string{"PORT=803", "E="}) {
		t.Errorf("%q", got)
	}
	if c.Command[1] != "{slot}" {
		t.Error("the config itself changed")
	}
}

func TestInFileTellsFilesFromFlagsAndVariables(t *testing.T) {
	c := master.Config{Where: map[string]string{"a": "app.toml:3", "b": "--b", "c": "PREFORK_RUN_C", "d": "prefork demo", "command": master.CommandLine}}
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": false, "command": false, "other": false} {
		if got := c.InFile(key); got != want {
			t.Errorf("%s: %v", key, got)
		}
	}
}

func TestSurgeIsRoundedUpAndAtLeastOne(t *testing.T) {
	for _, s := range []struct {
		text          string
		workers, want int
	}{{"100%", 8, 8}, {"25%", 8, 2}, {"25%", 9, 3}, {"1%", 8, 1}, {"1", 1, 1}, {"3", 8, 3}, {"50%", 1, 1}} {
		got, err := master.ParseSurge(s.text)
		if err != nil || got.Of(s.workers) != s.want || got.String() != s.text {
			t.Errorf("%s of %d: %d (%v, %v), want %d", s.text, s.workers, got.Of(s.workers), got, err, s.want)
		}
	}
}
