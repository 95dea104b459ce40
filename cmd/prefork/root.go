package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prefork/master"
)

// program is what the commands share: where they write, and what they were
// started with.
type program struct {
	environ        []string
	stdout, stderr *os.File
	signals        *master.Signals // of a command that starts a pool; nil: not taken yet
	// exit is the exit code of a command that ended without an error of its
	// own but did not succeed: run, status --ready.
	exit int
}

// Main is the whole command line: it gives the exit code.
func Main(args, environ []string, stdout, stderr *os.File) int {
	p := &program{environ: environ, stdout: stdout, stderr: stderr}
	if startsPool(args) {
		p.takeSignals()
	}
	if isHelper(args) {
		return p.help(args)
	}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.Execute(); err != nil {
		if p.signals != nil {
			p.signals.Close()
		}
		return report(stderr, err)
	}
	return p.exit // with the signals still taken: one that comes late does not change it
}

const rootHelp = `prefork runs any program as N worker processes that share the listening
sockets, and replaces them on a reload without losing a request.

  prefork run -w 4 -l :8080 -- python3 worker.py   # start a pool, stay in the foreground
  prefork status                                   # how it is
  prefork reload                                   # new workers, then the old ones leave
  prefork stop

A worker finds its sockets as systemd passes them: LISTEN_FDS of them, from
descriptor 3 on. To see it work without a program of your own: prefork demo

Exit codes: 0 done or stopped as asked, 1 failed, 2 wrong usage, 3 the first
workers never became ready, 4 something in the config file is wrong.`

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "prefork COMMAND",
		Short:         "Run any program as a pool of worker processes",
		Long:          rootHelp,
		SilenceErrors: true,
		// COMMAND is all that its usage line takes.
		DisableFlagsInUseLine: true,
		SilenceUsage:          true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("prefork --help shows the commands", "no command of prefork given")
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := io.WriteString(cmd.OutOrStderr(), usageText(cmd))
		return err
	})
	root.SetHelpCommand(helpCommand())
	root.AddCommand(p.runCommand(), p.demoCommand(), p.checkCommand(), p.statusCommand(), p.reloadCommand(),
		p.scaleCommand(), p.stopCommand(), p.storeCommand(), p.versionCommand())
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	var known []string
	for _, c := range root.Commands() {
		known = append(known, c.Name())
	}
	slices.Sort(known)
	if n := nearest(name, known); n != "" {
		return usage("did you mean prefork "+n+"?", "unknown command %q", name)
	}
	return usage("the commands are "+strings.Join(known, ", ")+"; to run a program: prefork run -- "+name, "unknown command %q", name)
}

// flagError words the errors of the flag parser: what, where, what would be
// right.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return unknownFlag(cmd, unknown)
	}
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		f := missing.GetFlag()
		return usage("", "--%s: needs a value: want --%s %s", f.Name, f.Name, f.Value.Type())
	}
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		return usage("", "--%s: %v", bad.GetFlag().Name, bad.Unwrap())
	}
	return usage("", "%v", err)
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	hint := cmd.CommandPath() + " --help shows the flags"
	if letters := e.GetSpecifiedShortnames(); letters != "" {
		return usage(hint, "unknown flag -%s", e.GetSpecifiedName())
	}
	name := e.GetSpecifiedName()
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if n := nearest(name, known); n != "" {
		hint = "did you mean --" + n + "?"
	}
	return usage(hint, "unknown flag --%s", name)
}
