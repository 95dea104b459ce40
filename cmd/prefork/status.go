package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"prefork/master/control"
)

const statusHelp = `status shows a running pool: what it does, its listeners, its workers, slots
that have none, and the last reload.

With --verbose it also shows how long answers take, what is in flight, which
requests are served at this moment, and the totals since the master began.
With --json it prints the stable format of docs/reference/control.md. With
--ready it prints one line and exits 0 while the pool takes new work, 1 before it
is ready and while it leaves: a health check.

Exit codes: 0 whenever the pool answers, 1 when it does not.`

func (p *program) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how a pool is",
		Long:  statusHelp,
		Example: `  prefork status
  prefork status --json shop | jq .wanted
  prefork status --ready || echo not yet`,
		Args: atMost(1),
	}
	t := p.target(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the status as JSON")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "also show latencies, and the requests that are served now")
	ready := cmd.Flags().Bool("ready", false, "exit 0 when the pool takes new work, else 1")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		a, err := p.askPool(ctx, t, first(args), control.Request{Command: control.CmdStatus, Serving: *verbose})
		if err != nil {
			return err
		}
		if a.Status == nil {
			return failed("", "status: the answer has none")
		}
		if *ready && !a.Status.Ready {
			p.exit = exitRuntime
		}
		switch {
		case *asJSON:
			return p.writeJSON(a.Status)
		case *ready:
			return p.writeReady(a.Status)
		}
		return writeStatus(p.stdout, a.Status, *verbose, time.Now())
	}
	return cmd
}

func (p *program) writeReady(s *control.Status) error {
	word := "ready"
	if !s.Ready {
		word = "not ready"
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s, %d of %d workers ready\n", word, printable(s.Phase), readyWorkers(s), s.Wanted)
	return err
}

// writeJSON writes the status. What a terminal would obey is escaped as JSON
// itself does, so a reader gets the same text back.
// Lists that are always there are lists when they are empty, too.
func (p *program) writeJSON(s *control.Status) error {
	if s.Listeners == nil {
		s.Listeners = []control.Listener{}
	}
	if s.Workers == nil {
		s.Workers = []control.Worker{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := p.stdout.WriteString(escapeJSON(b.String()))
	return err
}

// escapeJSON writes every rune of a JSON text that cannot be printed as
// \uXXXX. encoding/json does so for those below U+0020 only; the rest stand in
// strings, since the syntax has none of them.
func escapeJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r < 0x7f || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// readyWorkers counts those that take new work.
func readyWorkers(s *control.Status) int {
	n := 0
	for _, w := range s.Workers {
		if w.State == control.StateReady {
			n++
		}
	}
	return n
}
