package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"prefork/master/control"
)

// target makes the flags that name a pool for a command.
func (p *program) target(cmd *cobra.Command) *target {
	t := &target{path: newSearchPath(p.environ)}
	t.flags(cmd)
	return t
}

// first gives the first argument, "" when there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// atMost checks the number of arguments of a command that may name a pool.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("usage: prefork "+cmd.Use, "%q is one argument too many", args[n])
		}
		return nil
	}
}

// interruptible ends with INT and TERM, so that a wait can be left: what was
// asked goes on in the master.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
}

// ask sends a request and shows its progress; the answer is one that is OK.
func (p *program) ask(ctx context.Context, c *control.Client, r control.Request) (control.Answer, error) {
	a, err := c.Do(ctx, r, func(text string) { _, _ = fmt.Fprintln(p.stderr, "prefork: "+printable(text)) })
	switch {
	case errors.Is(err, context.Canceled):
		return a, failed("the "+r.Command+" itself goes on: prefork status shows how", "stopped waiting")
	case errors.Is(err, context.DeadlineExceeded):
		return a, failed("", "%s: no answer in %s", r.Command, answerTimeout)
	case err != nil:
		return a, failed("", "%w", err)
	case !a.OK && strings.HasPrefix(a.Error, r.Command+" "):
		return a, failed("", "%s", a.Error)
	case !a.OK:
		return a, failed("", "%s: %s", r.Command, a.Error)
	}
	return a, nil
}

// askPool finds the pool that is meant and asks it one thing.
func (p *program) askPool(ctx context.Context, t *target, name string, r control.Request) (control.Answer, error) {
	c, err := t.find(ctx, name)
	if err != nil {
		return control.Answer{}, err
	}
	defer func() { _ = c.Close() }()
	return p.ask(ctx, c, r)
}

// say writes the result of an answer.
func (p *program) say(a control.Answer, otherwise string) error {
	text := a.Result
	if text == "" {
		text = otherwise
	}
	_, err := fmt.Fprintln(p.stdout, printable(text))
	return err
}
