package main

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

func (p *program) storeDump() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump FILE|-",
		Short: "Write all entries to a file",
		Long: `dump writes every entry with the time that it still has to live into a file that
only you can read, and replaces an older one in one step; - is stdout. The pool
goes on meanwhile. Locks are not in it.`,
		Example: `  prefork store dump backup
  prefork store dump - | ssh other prefork store load -`,
		Args: wantArgs(1, 1),
	}
	t := p.storeTarget(cmd)
	fileArgument(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if args[0] == "-" && isTerminal(p.stdout) {
			return usage("prefork store dump - > FILE, or prefork store dump FILE", "store dump: stdout is a terminal")
		}
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			s := &dumpSource{storeClient: c}
			var err error
			if args[0] == "-" {
				_, err = snapshot.Write(ctx, p.stdout, s)
			} else {
				err = snapshot.Save(ctx, args[0], s)
			}
			if err != nil {
				return failed("", "%w", err)
			}
			p.note("%d entries written", s.entries)
			return nil
		})
	}
	return cmd
}

// dumpSource counts, and looks ahead: the keys of a page are asked for in that
// order.
type dumpSource struct {
	*storeClient
	entries int
	page    []string // keys that Scan has given and that nobody has looked at
	ahead   map[string]looked
}

func (s *dumpSource) Scan(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	keys, next, err := s.storeClient.Scan(ctx, cursor, count)
	s.page, s.ahead = keys, map[string]looked{}
	return keys, next, err
}

func (s *dumpSource) Get(ctx context.Context, key string) (store.Entry, bool, error) {
	if _, ok := s.ahead[key]; !ok {
		if err := s.look(ctx, key); err != nil {
			return store.Entry{}, false, err
		}
	}
	l := s.ahead[key]
	delete(s.ahead, key)
	if l.found {
		s.entries++
	}
	return l.Entry, l.found, l.err
}

// look looks at a key and those that follow it.
func (s *dumpSource) look(ctx context.Context, key string) error {
	keys := []string{key}
	if at := slices.Index(s.page, key); at >= 0 {
		keys = s.page[at:min(at+getAtOnce, len(s.page))]
		s.page = s.page[at+len(keys):]
	}
	all, err := s.getAll(ctx, keys)
	if err != nil {
		return err
	}
	for i, l := range all {
		s.ahead[keys[i]] = l
	}
	return nil
}

func (p *program) storeLoad() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load FILE|-",
		Short: "Set all entries of a file that dump wrote",
		Long: `load sets every entry of a snapshot that has not expired meanwhile; others that the
store has stay. The file is verified first: of a damaged one nothing is loaded.
- is stdin.`,
		Example: `  prefork store load backup
  prefork store load --name shop2 backup`,
		Args: wantArgs(1, 1),
	}
	t := p.storeTarget(cmd)
	fileArgument(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			var n int
			var err error
			if args[0] == "-" {
				n, err = snapshot.Read(ctx, os.Stdin, c)
			} else {
				n, err = snapshot.Load(ctx, args[0], c)
			}
			if err != nil {
				return loadFailed(n, err)
			}
			p.note("%d entries loaded", n)
			return nil
		})
	}
	return cmd
}

func loadFailed(n int, err error) error {
	switch {
	case n > 0 && errors.Is(err, store.ErrFull):
		return failed("a larger store takes all of it: docs/how-to/store.md", "%w; %d entries were loaded before", err, n)
	case n > 0:
		return failed(damageHint(err), "%w; %d entries were loaded before", err, n)
	}
	return failed(damageHint(err), "%w", err)
}

// fileArgument completes the names of files.
func fileArgument(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}
