package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// runFolder is where systemd and root put control sockets: file-hierarchy(7).
var runFolder = "/run"

// searchPath knows where control sockets are: where run makes one, and where
// the other commands look. Both are in docs/reference/cli.md.
type searchPath struct {
	run string // /run
	uid int
	env func(string) string
}

// newSearchPath takes the environment that a command was started with.
func newSearchPath(environ []string) searchPath {
	env := func(name string) string {
		for _, pair := range environ {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
	return searchPath{run: runFolder, uid: os.Geteuid(), env: env}
}

// runtimeFolder is the first folder of $RUNTIME_DIRECTORY, which systemd sets
// for a unit with RuntimeDirectory= (systemd.exec(5), joined by colons).
func (s searchPath) runtimeFolder() string {
	first, _, _ := strings.Cut(s.env("RUNTIME_DIRECTORY"), ":")
	return first
}

// defaultControl is the path that run takes when none is given; "" when there
// is no place for it.
func (s searchPath) defaultControl(name string) string {
	if dir := s.runtimeFolder(); dir != "" {
		return filepath.Join(dir, "control.sock")
	}
	if s.uid == 0 {
		return filepath.Join(s.run, "prefork", name+".sock")
	}
	if dir := s.env("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "prefork", name+".sock")
	}
	return ""
}

// candidate is a path where a control socket may be.
type candidate struct {
	path string
	// name is what the path says of the pool; "" when only the pool can tell.
	name string
	// foreign says that programs other than prefork use such paths too: what
	// listens there is asked only when it is a prefork.
	foreign bool
}

// named are the paths of the pool with a name, in the order in which they are
// tried. The one of $RUNTIME_DIRECTORY says no name when its folder has
// another: it is then tried when the pool there has the name.
func (s searchPath) named(name string) []candidate {
	var c []candidate
	if dir := s.runtimeFolder(); dir != "" {
		own := candidate{path: filepath.Join(dir, "control.sock")}
		if filepath.Base(dir) == name {
			own.name = name
		}
		c = append(c, own)
	}
	c = append(c,
		candidate{path: filepath.Join(s.run, "prefork", name, "control.sock"), name: name},
		candidate{path: filepath.Join(s.run, "prefork", name+".sock"), name: name},
		candidate{path: filepath.Join(s.run, name, "control.sock"), name: name},
	)
	if dir := s.env("XDG_RUNTIME_DIR"); dir != "" {
		c = append(c, candidate{path: filepath.Join(dir, "prefork", name+".sock"), name: name})
	}
	return unique(c)
}

// all are the paths of every pool that has a socket at one of the usual places.
func (s searchPath) all() []candidate {
	var c []candidate
	if dir := s.runtimeFolder(); dir != "" {
		c = append(c, existing(filepath.Join(escapeGlob(dir), "control.sock"), folderName, false)...)
	}
	run := escapeGlob(s.run)
	c = append(c, existing(filepath.Join(run, "prefork", "*", "control.sock"), folderName, false)...)
	c = append(c, existing(filepath.Join(run, "prefork", "*.sock"), fileName, false)...)
	c = append(c, existing(filepath.Join(run, "*", "control.sock"), folderName, true)...)
	if dir := s.env("XDG_RUNTIME_DIR"); dir != "" {
		c = append(c, existing(filepath.Join(escapeGlob(dir), "prefork", "*.sock"), fileName, false)...)
	}
	return unique(c)
}

// places are the patterns of all, for people.
func (s searchPath) places() []string {
	var p []string
	if dir := s.runtimeFolder(); dir != "" {
		p = append(p, filepath.Join(dir, "control.sock"))
	}
	p = append(p,
		filepath.Join(s.run, "prefork", "NAME", "control.sock"),
		filepath.Join(s.run, "prefork", "NAME.sock"),
		filepath.Join(s.run, "NAME", "control.sock"))
	if dir := s.env("XDG_RUNTIME_DIR"); dir != "" {
		p = append(p, filepath.Join(dir, "prefork", "NAME.sock"))
	}
	return p
}

func folderName(path string) string { return filepath.Base(filepath.Dir(path)) }
func fileName(path string) string   { return strings.TrimSuffix(filepath.Base(path), ".sock") }

// existing are the sockets that a pattern matches, sorted.
func existing(pattern string, name func(string) string, foreign bool) []candidate {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil // a pattern that is none: escapeGlob makes sure that it is one
	}
	var c []candidate
	for _, p := range paths {
		if fi, err := os.Stat(p); err == nil && fi.Mode().Type() == os.ModeSocket {
			c = append(c, candidate{path: p, name: name(p), foreign: foreign})
		}
	}
	return c
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func unique(c []candidate) []candidate {
	seen := map[string]bool{}
	return slices.DeleteFunc(c, func(c candidate) bool {
		had := seen[c.path]
		seen[c.path] = true
		return had
	})
}

// isPrefork says that a process runs a binary of our name: /proc/PID/exe,
// which reads "... (deleted)" once the file was replaced (proc(5)). A process
// that may not be looked at is none: its socket could not be used either.
func isPrefork(pid int) bool {
	own, err := os.Executable()
	if err != nil {
		return false
	}
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return err == nil && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == filepath.Base(own)
}
