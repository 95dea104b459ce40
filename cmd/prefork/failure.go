package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"prefork/master"
)

// Exit codes: DESIGN 4. run's own 3 comes from master.Run.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
	exitConfig  = 4
)

// failure is an error with an exit code and, where there is one, a line of
// advice.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(hint, format string, args ...any) error {
	return &failure{exitRuntime, fmt.Errorf(format, args...), hint}
}

func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

// invalid is a configuration with problems.
type invalid struct {
	problems []*master.Problem
	config   master.Config // as far as it goes: the places of its keys
	withFile bool          // a config file was given
}

func (e *invalid) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (e *invalid) Unwrap() []error {
	errs := make([]error, len(e.problems))
	for i, p := range e.problems {
		errs[i] = p
	}
	return errs
}

// code is 4 as soon as one problem has to do with the file, or the file should
// have named a command; else 2.
func (e *invalid) code() int {
	for _, p := range e.problems {
		if inFile(p.Where) || p.Where == "command" && e.withFile {
			return exitConfig
		}
		for _, k := range p.Keys {
			if e.config.InFile(k) {
				return exitConfig
			}
		}
	}
	return exitUsage
}

// inFile says that a place is one of the file: no flag, no variable, and not
// the bare key of a default.
func inFile(where string) bool {
	switch {
	case strings.HasPrefix(where, "-"), strings.HasPrefix(where, envPrefix), where == master.CommandLine, where == "command":
		return false
	}
	return settingOf(where) == nil
}

// report writes an error as the user sees it and gives the exit code.
func report(w io.Writer, err error) int {
	say := func(kind, text string) {
		for line := range strings.SplitSeq(text, "\n") {
			_, _ = fmt.Fprintf(w, "prefork: %s: %s\n", kind, printable(line))
		}
	}
	var bad *invalid
	if errors.As(err, &bad) {
		say("error", bad.Error())
		if hint := bad.hint(); hint != "" {
			say("hint", hint)
		}
		return bad.code()
	}
	say("error", err.Error())
	var f *failure
	if errors.As(err, &f) {
		if f.hint != "" {
			say("hint", f.hint)
		}
		return f.code
	}
	return exitRuntime
}

// hint for a run without a command.
func (e *invalid) hint() string {
	for _, p := range e.problems {
		if p.Where == "command" {
			return "to see it work without a program of your own: prefork demo"
		}
	}
	return ""
}
