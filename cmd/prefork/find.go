package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"prefork/master"
	"prefork/master/control"
)

// answerTimeout bounds the wait for an answer that the master gives at once.
const answerTimeout = 5 * time.Second

// target is how a command is told which pool it means.
type target struct {
	control string
	config  string
	path    searchPath
}

// flags defines --control and -c on a command.
func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.control, "control", "", "control socket of the pool")
	cmd.Flags().StringVarP(&t.config, "config", "c", "", "config file of the pool: finds it by its name and control keys")
	must(cmd.MarkFlagFilename("config", "toml"))
	cmd.ValidArgsFunction = t.complete
}

// find connects to the pool that is meant: by --control, by -c, by NAME, or
// the only one that runs.
func (t *target) find(ctx context.Context, name string) (*control.Client, error) {
	given := 0
	for _, g := range []string{t.control, t.config, name} {
		if g != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, usage("want --control PATH, or -c FILE, or a NAME", "the pool is given more than once")
	case t.control != "":
		return dial(ctx, t.control)
	case t.config != "":
		return t.byConfig(ctx)
	case name != "":
		return t.byName(ctx, name)
	}
	return t.only(ctx)
}

// dial connects to the one path that was given.
func dial(ctx context.Context, path string) (*control.Client, error) {
	c, err := control.Dial(ctx, path)
	if err != nil {
		return nil, unreachable(err)
	}
	return c, nil
}

func unreachable(err error) error {
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return failed("is the pool running? prefork status without a name lists those that are", "%w", err)
	case errors.Is(err, os.ErrPermission):
		return failed("only the pool's own user and root may ask it: try sudo", "%w", err)
	}
	return failed("", "%w", err)
}

// byConfig finds the pool of a config file: at the control socket that the
// file gives, else by the name that it gives or has. A file that cannot be read
// any more still has its own name.
func (t *target) byConfig(ctx context.Context) (*control.Client, error) {
	name := (&loader{file: t.config}).defaultName(&master.Config{})
	file, problems := fileLayer(t.config)
	if e := file["control"]; len(e) > 0 {
		return dial(ctx, e[0].text)
	}
	if e := file["name"]; len(e) > 0 {
		name = e[0].text
	}
	c, err := t.byName(ctx, name)
	if err != nil && file == nil {
		return nil, &invalid{problems: problems, withFile: true}
	}
	return c, err
}

func (t *target) byName(ctx context.Context, name string) (*control.Client, error) {
	if !master.ValidName(name) {
		return nil, usage("", "%q cannot name a pool: want 1 to 64 of A-Z a-z 0-9 _ . @ -", name)
	}
	var tried []string
	for _, at := range t.path.named(name) {
		c, err := control.Dial(ctx, at.path)
		switch {
		case errors.Is(err, control.ErrNotRunning):
			tried = append(tried, at.path)
			continue
		case err != nil:
			return nil, unreachable(err)
		}
		if at.name == name || nameAt(ctx, at.path) == name {
			return c, nil
		}
		_ = c.Close()
		tried = append(tried, at.path)
	}
	return nil, failed("tried "+strings.Join(tried, ", "), "no pool %q is running", name)
}

// nameAt asks a pool for its name; "" when it does not say.
func nameAt(ctx context.Context, path string) string {
	s, err := statusAt(ctx, path)
	if err != nil {
		return ""
	}
	return s.Name
}

func statusAt(ctx context.Context, path string) (*control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c, err := control.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	a, err := c.Do(ctx, control.Request{Command: control.CmdStatus}, nil)
	switch {
	case err != nil:
		return nil, err
	case !a.OK:
		return nil, errors.New(a.Error)
	case a.Status == nil:
		return nil, errors.New("answer without a status")
	}
	return a.Status, nil
}

// live is a pool that runs: somebody listens at its path.
type live struct {
	candidate
	client *control.Client
	err    error // why it cannot be asked
}

// running connects to every pool at the usual places.
func (t *target) running(ctx context.Context) []live {
	var pools []live
	for _, at := range t.path.all() {
		c, err := control.Dial(ctx, at.path)
		if errors.Is(err, control.ErrNotRunning) {
			continue
		}
		if at.foreign {
			if err != nil {
				continue
			}
			if pid, perr := c.PeerPID(); perr != nil || !isPrefork(pid) {
				_ = c.Close()
				continue
			}
		}
		pools = append(pools, live{at, c, err})
	}
	return pools
}

// only connects to the one pool that runs.
func (t *target) only(ctx context.Context) (*control.Client, error) {
	pools := t.running(ctx)
	switch {
	case len(pools) == 0:
		return nil, failed("looked for "+strings.Join(t.path.places(), ", "), "no pool is running")
	case len(pools) == 1 && pools[0].err != nil:
		return nil, unreachable(pools[0].err)
	case len(pools) == 1:
		return pools[0].client, nil
	}
	var lines []string
	for _, p := range pools {
		if p.client != nil {
			_ = p.client.Close()
		}
		lines = append(lines, "  "+p.describe(ctx))
	}
	return nil, usage("name one of them:\n"+strings.Join(lines, "\n"), "%d pools are running", len(pools))
}

func (p live) describe(ctx context.Context) string {
	if p.err != nil {
		return fmt.Sprintf("%-16s %s: not allowed to ask it", p.name, p.path)
	}
	s, err := statusAt(ctx, p.path)
	if err != nil {
		return fmt.Sprintf("%-16s %s: %v", p.name, p.path, err)
	}
	return fmt.Sprintf("%-16s %s, %d of %d ready, %s", s.Name, s.Phase, readyWorkers(s), s.Wanted, p.path)
}

// complete gives the names of the pools at the usual places, without asking
// any: a completion must not wait.
func (t *target) complete(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, at := range t.path.all() {
		if !at.foreign {
			names = append(names, at.name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
