package main

import (
	"context"

	"github.com/spf13/cobra"

	"prefork/master"
	"prefork/master/control"
)

const scaleHelp = `scale sets the number of workers of a running pool. It holds until the text of
"workers" in the config file changes. Going down takes the highest slots.

Exit codes: 0 the pool has taken the number, 1 it refuses it, for example while
it stops.`

func (p *program) scaleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scale N [NAME]",
		Short: "Set the number of workers",
		Long:  scaleHelp,
		Example: `  prefork scale 8
  prefork scale 8 shop`,
		Args: atMost(2),
	}
	t := p.target(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, to string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.complete(cmd, args[1:], to)
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("usage: prefork "+cmd.Use, "scale needs the number of workers")
		}
		n, err := master.ParseCount(args[0], 1, master.MaxWorkers)
		if err != nil {
			return usage("usage: prefork "+cmd.Use, "number of workers: %w", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		a, err := p.askPool(ctx, t, first(args[1:]), control.Request{Command: control.CmdScale, Workers: n})
		if err != nil {
			return err
		}
		return p.say(a, "scaled to "+args[0])
	}
	return cmd
}
