package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"prefork/ipc/store"
)

func (p *program) storeGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print a value",
		Long: `get prints the value under a key: its very bytes, without a line end, to a pipe or
a file; on a terminal as one line, in quotes when the terminal cannot show it.

Exit codes: 0 it is there, 1 there is no such key or no answer.`,
		Example: `  prefork store get cart/42
  prefork store get cart/42 | jq .`,
		Args: wantArgs(1, 1),
	}
	t := p.storeTarget(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		key, err := readKey(args[0])
		if err != nil {
			return err
		}
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			e, found, err := c.Get(ctx, key)
			switch {
			case err != nil:
				return failed("", "get %s: %w", showKey(key), err)
			case !found:
				return noSuchKey(key)
			}
			text := string(e.Value)
			if isTerminal(p.stdout) {
				text = showKey(text) + "\n"
			}
			_, err = p.stdout.WriteString(text)
			return err
		})
	}
	return cmd
}

func noSuchKey(key string) error {
	return failed("prefork store list shows the keys that there are", "no such key: %s", showKey(key))
}

func (p *program) storeSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set KEY VALUE|-",
		Short: "Set a value",
		Long: `set writes a value under a key, whether there was one or not. With - the value is
what stdin holds, all of it, up to 1 MiB. Without --ttl the entry stays until it
is deleted, or until a store that is full drops it.`,
		Example: `  prefork store set motd 'back at noon'
  prefork store set --ttl 30m motd 'back at noon'
  prefork store set template - < index.html`,
		Args: wantArgs(2, 2),
	}
	t := p.storeTarget(cmd)
	var ttl time.Duration
	cmd.Flags().Var((*ttlValue)(&ttl), "ttl", "the entry lives so long, as 30m or 12h (default: for ever)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		key, err := readKey(args[0])
		if err != nil {
			return err
		}
		value := []byte(args[1])
		if args[1] == "-" {
			if value, err = readValue(os.Stdin); err != nil {
				return err
			}
		}
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			if _, err := c.Set(ctx, key, value, store.Write{TTL: ttl}); err != nil {
				return setFailed(key, err)
			}
			return nil
		})
	}
	return cmd
}

func setFailed(key string, err error) error {
	hint := ""
	if errors.Is(err, store.ErrFull) {
		hint = "prefork store stats shows how full it is; docs/how-to/store.md says what to do"
	}
	return failed(hint, "set %s: %w", showKey(key), err)
}

// readValue reads a value from stdin.
func readValue(r io.Reader) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, store.MaxValue+1))
	if err != nil {
		return nil, failed("", "read the value: %w", err)
	}
	if len(value) > store.MaxValue {
		return nil, failed("", "the value has more than %d bytes", store.MaxValue)
	}
	return value, nil
}

// ttlValue is a time to live: a Go duration, at least a millisecond.
type ttlValue time.Duration

func (v *ttlValue) String() string {
	if *v == 0 {
		return ""
	}
	return time.Duration(*v).String()
}

func (v *ttlValue) Type() string { return "DURATION" }

func (v *ttlValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseUint(text, 10, 31); numErr == nil && seconds > 0 {
		return fmt.Errorf("%q has no unit: want %ds, %dm or %dh", text, seconds, seconds, seconds)
	}
	if err != nil || d < time.Millisecond {
		return fmt.Errorf("%q is no time: want one such as 90s, 30m or 12h", text)
	}
	*v = ttlValue(d)
	return nil
}

func (p *program) storeDel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "del KEY...",
		Short: "Delete keys",
		Long: `del deletes entries.

Exit codes: 0 all are deleted, 1 one was not there, or no answer.`,
		Example: `  prefork store del cart/42
  prefork store list 'cart/*' | xargs -d '\n' prefork store del`,
		Args: wantArgs(1, -1),
	}
	t := p.storeTarget(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		keys := make([]string, len(args))
		for i, a := range args {
			var err error
			if keys[i], err = readKey(a); err != nil {
				return err
			}
		}
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			var missing []error
			for _, key := range keys {
				found, err := c.Delete(ctx, key)
				if err != nil {
					return failed("", "delete %s: %w", showKey(key), err)
				}
				if !found {
					missing = append(missing, fmt.Errorf("no such key: %s", showKey(key)))
				}
			}
			return errors.Join(missing...)
		})
	}
	return cmd
}
