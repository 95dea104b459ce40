package main

import (
	"os"

	"github.com/spf13/cobra"
)

const demoHelp = `demo starts a pool of prefork's own: a page on http://127.0.0.1:8080 that shows
what worker processes share, and what they do not.

It takes run's flags. Four workers are started unless told otherwise, under the
name "demo", and they accept in turn, so that requests do move between them.`

const demoExample = `  prefork demo
  prefork demo -w 8 -l 127.0.0.1:9000

  # then, in another terminal
  prefork reload
  prefork scale 8`

// demoWorkerArg makes the demo's command a worker of the demo: it is what the
// master executes, and not for people.
const demoWorkerArg = "__worker"

// demoDefaults is what the demo has instead of run's defaults.
var demoDefaults = map[string]string{
	"name":    "demo",
	"workers": "4", // on a machine with one CPU there would be nothing to see
	// fair spreads the connections that are held; those of the demo are closed
	// at once, and one worker could take them all.
	"accept": "rotate",
}

func (p *program) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "demo [flags]",
		Short:   "See it work in a browser: a page served by a pool",
		Long:    demoHelp,
		Example: demoExample,
	}
	read := settingFlags(cmd)
	for key, text := range demoDefaults {
		s := settingOf(key)
		cmd.Flags().Lookup(s.flag()).Usage = s.usage + " (default: " + text + ")"
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && args[0] == demoWorkerArg:
			return demoWorker()
		case len(args) > 0:
			return usage("to run a program of your own: prefork run -- "+args[0], "demo brings its own program, and takes no %q", args[0])
		}
		l, err := p.demoLoader(read())
		if err != nil {
			return err
		}
		return p.runPool(l)
	}
	return cmd
}

// demoLoader is run's loader for a command that is this binary.
func (p *program) demoLoader(flags layer) (*loader, error) {
	// On Linux this is what /proc/self/exe points to: an absolute path without
	// symbolic links, also under go run.
	self, err := os.Executable()
	if err != nil {
		return nil, failed("", "find this program's own file: %w", err)
	}
	l := newLoader(flags, p.environ, []string{self, "demo", demoWorkerArg})
	for key, text := range demoDefaults {
		l.last[key] = []entry{{text, "prefork demo"}}
	}
	return l, nil
}
