package main

import (
	"github.com/spf13/cobra"

	"prefork/master/control"
)

const reloadHelp = `reload reads the config file anew, starts a new generation of workers and, once
all of them are ready and have settled, tells the old ones to stop. It shows
what is going on, waits for the verdict and prints it. Where anything fails the
old workers go on with their old configuration.

Exit codes: 0 the new generation runs, 1 it does not, and the reason says why.
Leaving the wait with Ctrl-C leaves the reload alone.`

func (p *program) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [NAME]",
		Short: "Replace all workers, and wait for the verdict",
		Long:  reloadHelp,
		Example: `  prefork reload
  prefork reload shop
  prefork reload -c /etc/prefork/shop.toml   # ExecReload= of a unit`,
		Args: atMost(1),
	}
	t := p.target(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ctx, stop := interruptible()
		defer stop()
		a, err := p.askPool(ctx, t, first(args), control.Request{Command: control.CmdReload})
		if err != nil {
			return err
		}
		return p.say(a, "reloaded")
	}
	return cmd
}
