package master

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// shells are the programs that take a script after -c.
var shells = []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish"}

var execWord = regexp.MustCompile(`(^|[^\w.-])exec\s`)

// Warning is a sentence about a command that is a shell with -c whose script
// has no exec: the stop signal goes to the worker's own process, and a shell
// that dies of it takes what it started with it. "" when all is well.
func (c *Config) Warning() string {
	if len(c.Command) == 0 {
		return ""
	}
	args := c.Command
	name := filepath.Base(args[0])
	if name == "busybox" && len(args) > 1 {
		args = args[1:]
		name = args[0]
	}
	if !slices.Contains(shells, name) {
		return ""
	}
	for i, arg := range args[1:] {
		if !strings.HasPrefix(arg, "-") {
			return "" // a script file: it may do anything
		}
		if strings.HasPrefix(arg, "--") || !strings.Contains(arg, "c") {
			continue
		}
		if rest := args[i+2:]; len(rest) > 0 && !execWord.MatchString(rest[0]) {
			return "the command is a shell without exec: it dies of the stop signal and its program with it, in the middle of a request; " +
				"write " + filepath.Base(c.Command[0]) + " -c 'exec ...'"
		}
		return ""
	}
	return ""
}
