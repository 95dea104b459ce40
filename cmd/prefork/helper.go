package main

import (
	"prefork/master"
	"prefork/master/helper"
)

// isHelper says that the master has executed this program to help: that is no
// command for people, so none of the command line's.
func isHelper(args []string) bool { return len(args) > 0 && args[0] == master.HelperArg }

// help is what such a process does, to its end.
func (p *program) help(args []string) int {
	return helper.Store(args[1:], version(), p.stderr)
}
