package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"prefork/ipc/store/snapshot"
)

func (p *program) storeCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify a store, or a file that dump or --store-file wrote",
		Long: `check looks at every entry, every free block and every figure of the store of a
running pool, and prints what it found. The pool goes on meanwhile. With --file
it reads a snapshot instead, to its end, and changes nothing.

Exit codes: 0 nothing is wrong, 1 something is, or no answer.`,
		Example: `  prefork store check
  prefork store check --file /var/lib/shop/store`,
		Args: wantArgs(0, 0),
	}
	t := p.storeTarget(cmd)
	file := cmd.Flags().String("file", "", "a snapshot; - is stdin")
	must(cmd.MarkFlagFilename("file"))
	cmd.RunE = func(*cobra.Command, []string) error {
		if *file != "" {
			return p.checkFile(*file)
		}
		return t.withStore(p.checkStore)
	}
	return cmd
}

func (p *program) checkStore(ctx context.Context, c *storeClient) error {
	report, err := c.text(ctx, checkTimeout, "PREFORK", "CHECK")
	if e, ok := errors.AsType[wireError](err); ok {
		return failed("only a store in memory of a pool can be checked", "check: %w", e)
	}
	if err != nil {
		return failed("", "check: %w", err)
	}
	for line := range strings.SplitSeq(strings.TrimRight(report, "\n"), "\n") {
		if strings.HasPrefix(line, "problem") {
			p.exit = exitRuntime
		}
		if _, err := fmt.Fprintln(p.stdout, printable(line)); err != nil {
			return err
		}
	}
	return nil
}

// checkFile verifies a snapshot.
func (p *program) checkFile(path string) error {
	ctx, cancel := interruptible()
	defer cancel()
	var i snapshot.Info
	var err error
	if path == "-" {
		i, err = snapshot.Check(ctx, io.Reader(os.Stdin))
	} else {
		i, err = snapshot.CheckFile(ctx, path)
	}
	if err != nil {
		return failed(damageHint(err), "%w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "%d entries, %d of them expired, %s of keys and values; written %s\nno problems\n",
		i.Entries, i.Expired, sizeText(i.Bytes), i.Written.Local().Format(time.RFC3339))
	return err
}

// damageHint says what can be done about a file that is not to be loaded.
func damageHint(err error) string {
	switch {
	case errors.Is(err, snapshot.ErrDamaged):
		return "a damaged file is not loaded, no part of it: take an older copy"
	case errors.Is(err, snapshot.ErrVersion):
		return "a newer prefork wrote it"
	}
	return ""
}
