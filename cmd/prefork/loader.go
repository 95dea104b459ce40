package main

import (
	"cmp"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master"
)

// loader makes configurations: flags and environment are taken once, the file
// is read anew at each load. Its zero value knows no source.
type loader struct {
	file    string // path of the config file, "" none
	flags   layer
	env     layer
	last    layer    // stands in for what no source gives, before the defaults
	command []string // after the flags, nil none

	// early are problems of flags and environment, found once.
	early []*master.Problem
	// place gives the default path of the control socket.
	place func(name string) string
}

// newLoader takes flags, environment and the command after the flags.
func newLoader(flags layer, environ, command []string) *loader {
	l := &loader{flags: flags, last: layer{}, command: command}
	l.env, l.early = environmentLayer(environ)
	for _, from := range []layer{l.env, flags} {
		if e := from["config"]; len(e) > 0 {
			last := e[len(e)-1]
			l.file = last.text
			if last.text == "" {
				l.early = append(l.early, problem("config", last.where, "is empty: want the path of a TOML file, or leave it out"))
			}
		}
	}
	l.place = newSearchPath(environ).defaultControl
	return l
}

// load reads the file anew and gives the effective configuration, or an
// *invalid that holds every problem.
func (l *loader) load() (master.Config, error) {
	problems := slices.Clone(l.early)
	var file layer
	if l.file != "" {
		var found []*master.Problem
		file, found = fileLayer(l.file)
		problems = append(problems, found...)
	}
	c := defaults()
	problems = append(problems, apply(&c, l.flags, l.env, file, l.last)...)
	l.takeCommand(&c, file)
	// What the file says of a count that a flag or variable gives is no news.
	if e := file["workers"]; len(e) > 0 && len(l.flags["workers"])+len(l.env["workers"]) == 0 {
		c.WorkersText = e[0].text
	}
	l.derive(&c)
	if !unreadable(l.file, file) {
		problems = append(problems, further(problems, c)...)
	}
	if len(problems) > 0 {
		return master.Config{}, &invalid{problems: problems, config: c, withFile: l.file != ""}
	}
	return c, nil
}

// unreadable says that the file gave nothing, so that what it leaves out is
// not known.
func unreadable(path string, file layer) bool { return path != "" && file == nil }

// defaults is the configuration before any source: the defaults that depend on
// nothing else.
func defaults() master.Config {
	return master.Config{
		Workers:       availableCPUs(),
		StartTimeout:  30 * time.Second,
		DrainTimeout:  30 * time.Second,
		Linger:        -1, // depends on the drain timeout: derive
		StopSignal:    unix.SIGTERM,
		Surge:         master.Surge{N: 100, Percent: true},
		StartParallel: max(8, 2*availableCPUs()),
		Accept:        "auto",
		Umask:         -1,
		Stderr:        "capture",
		LogLevel:      "info",
		Where:         map[string]string{},
	}
}

func (l *loader) takeCommand(c *master.Config, file layer) {
	if len(l.command) > 0 {
		c.Command = l.command
		c.Where["command"] = master.CommandLine
		return
	}
	for _, e := range file["command"] {
		c.Command = append(c.Command, e.text)
		c.Where["command"] = e.where
	}
}

// derive fills in the defaults that depend on other values.
func (l *loader) derive(c *master.Config) {
	if c.Linger < 0 {
		c.Linger = min(5*time.Second, c.DrainTimeout/2)
	}
	if c.Name == "" {
		c.Name = l.defaultName(c)
	}
	if c.Control == "" && master.ValidName(c.Name) {
		c.Control = l.place(c.Name)
	}
}

// defaultName is the base name of the config file, else of the command, with
// what cannot stand in a name made "-".
func (l *loader) defaultName(c *master.Config) string {
	base := "prefork"
	if l.file != "" {
		base = strings.TrimSuffix(filepath.Base(l.file), ".toml")
	} else if len(c.Command) > 0 {
		base = filepath.Base(c.Command[0])
	}
	return fitName(base)
}

func fitName(base string) string {
	name := []byte(base)
	for i := range name {
		if !master.ValidName("x" + string(name[i])) {
			name[i] = '-'
		}
	}
	fit := strings.TrimLeft(string(name), "-.@")
	return cmp.Or(fit[:min(len(fit), 64)], "prefork")
}

// further checks what the parse could not: values against each other, users
// against this machine. What touches a key that is already wrong is left out.
func further(found []*master.Problem, c master.Config) []*master.Problem {
	wrong := map[string]bool{}
	for _, p := range found {
		for _, k := range p.Keys {
			wrong[k] = true
		}
	}
	var more []*master.Problem
	if joined, ok := c.Validate().(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			if p, ok := err.(*master.Problem); ok {
				more = append(more, p)
			}
		}
	}
	more = append(more, checkAccounts(c)...)
	return slices.DeleteFunc(more, func(p *master.Problem) bool {
		return slices.ContainsFunc(p.Keys, func(k string) bool {
			head, _, _ := strings.Cut(k, ".")
			return wrong[k] || wrong[head]
		})
	})
}

// checkAccounts looks up user and group, so that a name that does not exist
// ends the start and not each spawn. Numbers need no account.
func checkAccounts(c master.Config) []*master.Problem {
	var problems []*master.Problem
	check := func(key, name string, known func(string) error) {
		if name == "" || isNumber(name) {
			return
		}
		if err := known(name); err != nil {
			where := c.Where[key]
			problems = append(problems, problem(key, where, "%sno %s %q on this machine: want one that `getent` knows, or a number", settingOf(key).prefix(where), key, name))
		}
	}
	check("user", c.User, func(name string) error { _, err := user.Lookup(name); return err })
	check("group", c.Group, func(name string) error { _, err := user.LookupGroup(name); return err })
	return problems
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 32)
	return err == nil
}
