package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"prefork/ipc/store"
)

// scanCount is how many keys one answer brings.
const scanCount = 1000

func (p *program) storeList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [PATTERN]",
		Short: "List keys",
		Long: `list prints the keys that there are, one a line, in no order; those that match a
pattern: * stands for any text, ? for one byte, [a-z] for one of these, \ takes
the meaning of what follows. Keys that come and go meanwhile may be missing, and
one may come twice.

With --long a line has the size of the value in bytes, the time that is left
and the key. With --json each line is an object: key (or key_base64, for one that
is no UTF-8), bytes, and ttl_seconds unless it never expires. Both read the
values.`,
		Example: `  prefork store list
  prefork store list 'cart/*'
  prefork store list --json | jq -r 'select(.bytes > 100000).key'`,
		Args: wantArgs(0, 1),
	}
	t := p.storeTarget(cmd)
	long := cmd.Flags().BoolP("long", "l", false, "print size and time to live too")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			c.pattern = first(args)
			l := lister{c: c, out: bufio.NewWriter(p.stdout)}
			page := l.keys
			switch {
			case *asJSON:
				page = l.each(l.json)
			case *long:
				page = l.each(l.long)
			}
			if err := l.list(ctx, page); err != nil {
				return err
			}
			return l.out.Flush()
		})
	}
	return cmd
}

// lister writes keys as they come.
type lister struct {
	c   *storeClient
	out *bufio.Writer
}

func (l *lister) list(ctx context.Context, page func(context.Context, []string) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := l.c.Scan(ctx, cursor, scanCount)
		if err != nil {
			return failed("", "list: %w", err)
		}
		if err := page(ctx, keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := l.out.Flush(); err != nil {
			return err // a pipe that nobody reads any more
		}
	}
}

func (l *lister) keys(_ context.Context, keys []string) error {
	for _, key := range keys {
		if _, err := l.out.WriteString(showKey(key) + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// each makes a page of lines that need the entry; one that is gone since has
// none.
func (l *lister) each(line func(string, store.Entry) error) func(context.Context, []string) error {
	return func(ctx context.Context, keys []string) error {
		for some := range slices.Chunk(keys, getAtOnce) {
			all, err := l.c.getAll(ctx, some)
			if err != nil {
				return failed("", "list: %w", err)
			}
			for i, e := range all {
				if e.err != nil {
					return failed("", "get %s: %w", showKey(some[i]), e.err)
				}
				if !e.found {
					continue
				}
				if err := line(some[i], e.Entry); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (l *lister) long(key string, e store.Entry) error {
	left := "-"
	if e.TTL > 0 {
		left = e.TTL.Truncate(time.Second).String()
	}
	_, err := fmt.Fprintf(l.out, "%10d  %-12s  %s\n", len(e.Value), left, showKey(key))
	return err
}

// listed is a key as --json shows it.
type listed struct {
	Key    string  `json:"key,omitempty"`
	Base64 string  `json:"key_base64,omitempty"`
	Bytes  int     `json:"bytes"`
	TTL    float64 `json:"ttl_seconds,omitempty"`
}

func (l *lister) json(key string, e store.Entry) error {
	o := listed{Bytes: len(e.Value), TTL: e.TTL.Seconds()}
	if utf8.ValidString(key) {
		o.Key = key
	} else {
		o.Base64 = base64.StdEncoding.EncodeToString([]byte(key))
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		return err
	}
	_, err := l.out.WriteString(escapeJSON(b.String()))
	return err
}
