package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) storeStats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show how full a store is, and what became of the requests",
		Long: `stats shows figures of the whole store; counters count since it was made. With
--json they are one object, whose names docs/reference/cli.md explains.`,
		Example: `  prefork store stats
  prefork store stats --json | jq '.used_bytes / .bytes'`,
		Args: wantArgs(0, 0),
	}
	t := p.storeTarget(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the figures as JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		return t.withStore(func(ctx context.Context, c *storeClient) error {
			f, err := c.stats(ctx)
			if err != nil {
				return failed("", "stats: %w", err)
			}
			if *asJSON {
				return writeFigures(p.stdout, f)
			}
			return writeStats(p.stdout, f)
		})
	}
	return cmd
}

// figures are the numbers that a store tells, by name. A Redis server tells
// some of them.
type figures map[string]int64

// statRow is a line of the table.
type statRow struct {
	name    string // of the figure, as the protocol and --json have it
	title   string
	meaning string
}

// statRows are those of store.Stats.
var statRows = []statRow{
	{"entries", "entries", "expired ones that nobody has met yet are counted"},
	{"bytes", "size", ""},
	{"used_bytes", "used", ""},
	{"locks", "locks", "named locks and semaphores"},
	{"hits", "hits", "gets that found something"},
	{"misses", "misses", ""},
	{"sets", "sets", ""},
	{"deletes", "deletes", ""},
	{"conflicts", "conflicts", "writes refused, since somebody else was first"},
	{"expired", "expired", "entries removed because their time was over"},
	{"evicted", "evicted", "entries removed to make room: the store is small"},
	{"full", "full", "writes refused for want of room"},
	{"busy", "busy", "operations given up after 250 ms"},
	{"repairs", "repairs", "locks taken over from a process that died"},
	{"quarantined", "quarantined", "entries dropped because they were damaged"},
}

// stats asks a store of a pool for its figures, and a Redis server for those
// that it has.
func (c *storeClient) stats(ctx context.Context) (figures, error) {
	f, err := c.figures(ctx, "PREFORK", "STATS")
	if err == nil {
		return f, nil
	}
	if _, refused := errors.AsType[wireError](err); !refused {
		return nil, err
	}
	text, err := c.text(ctx, answerTimeout, "INFO")
	if err != nil {
		return nil, err
	}
	entries, err := c.do(ctx, answerTimeout, []string{"DBSIZE"})
	if err != nil {
		return nil, err
	}
	n, err := asNumber(entries[0])
	if err != nil {
		return nil, err
	}
	f = parseInfo(text)
	f["entries"] = n
	return f, nil
}

// infoNames says what INFO calls a figure.
var infoNames = map[string]string{
	"used_memory": "used_bytes", "maxmemory": "bytes", "keyspace_hits": "hits", "keyspace_misses": "misses",
	"expired_keys": "expired", "evicted_keys": "evicted",
}

func parseInfo(text string) figures {
	f := figures{}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, err := strconv.ParseInt(value, 10, 64)
		if known, ok := infoNames[name]; ok && err == nil {
			f[known] = n
		}
	}
	return f
}

// writeFigures writes all figures, those that this program does not know too.
func writeFigures(w io.Writer, f figures) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeJSON(b.String()))
	return err
}

func writeStats(w io.Writer, f figures) error {
	t := &table{left: 1}
	for _, r := range statRows {
		n, ok := f[r.name]
		if !ok {
			continue
		}
		value := strconv.FormatInt(n, 10)
		meaning := r.meaning
		switch r.name {
		case "bytes":
			value = sizeText(n)
		case "used_bytes":
			value = sizeText(n)
			if all := f["bytes"]; all > 0 {
				meaning = fmt.Sprintf("%.1f %%", 100*float64(n)/float64(all))
			}
		case "misses":
			if all := n + f["hits"]; all > 0 {
				meaning = fmt.Sprintf("%.1f %% of %d gets", 100*float64(n)/float64(all), all)
			}
		}
		t.add(r.title, value, meaning)
	}
	if len(t.rows) == 0 {
		return failed("", "stats: the server tells none that is known here")
	}
	var b strings.Builder
	t.write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// sizeText writes bytes for people; 0 is not known, or without a bound.
func sizeText(n int64) string {
	switch {
	case n <= 0:
		return "-"
	case n < 10<<10:
		return strconv.FormatInt(n, 10) + " bytes"
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
