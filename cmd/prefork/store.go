package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const storeHelp = `store looks into what the workers of a pool share, and changes it: sessions,
counters, caches.

  prefork store list 'cart/*'            # which keys there are
  prefork store get cart/42              # one value
  prefork store set --ttl 30m motd hello # another one, for half an hour
  prefork store stats                    # how full it is
  prefork store dump backup              # all of it, into a file

The pool is the only one that runs, or the one that --name, -c or --control says.
Its store answers on a socket of its own; a pool that keeps its store on a Redis
server is asked for that server's URL, or give it with --url.

A key that holds what a terminal cannot show stands in quotes, as a Go string,
and is given like that: prefork store get '"\x00key"'

Exit codes: 0 done, 1 no such key or it failed, 2 wrong usage.`

func (p *program) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "store COMMAND",
		Short:                 "Look into what the workers of a pool share, and change it",
		Long:                  storeHelp,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("prefork store --help shows the commands", "no command of prefork store given")
			}
			return unknownStoreCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(p.storeGet(), p.storeSet(), p.storeDel(), p.storeList(), p.storeStats(), p.storeCheck(),
		p.storeDump(), p.storeLoad())
	return cmd
}

func unknownStoreCommand(store *cobra.Command, name string) error {
	var known []string
	for _, c := range store.Commands() {
		known = append(known, c.Name())
	}
	if n := nearest(name, known); n != "" {
		return usage("did you mean prefork store "+n+"?", "unknown command %q of prefork store", name)
	}
	return usage("its commands are "+strings.Join(known, ", "), "unknown command %q of prefork store", name)
}

// wantArgs checks the number of arguments.
func wantArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "usage: prefork store " + cmd.Use
		switch {
		case len(args) < least:
			return usage(hint, "store %s: an argument is missing", cmd.Name())
		case most >= 0 && len(args) > most:
			return usage(hint, "store %s: %q is one argument too many", cmd.Name(), args[most])
		}
		return nil
	}
}

// withStore opens the store that is meant and does something with it. INT and
// TERM end it.
func (t *storeTarget) withStore(do func(context.Context, *storeClient) error) error {
	ctx, cancel := interruptible()
	defer cancel()
	c, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return do(ctx, c)
}

// note tells the person, and not the next program in the pipe.
func (p *program) note(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stderr, "prefork: "+format+"\n", args...)
}
