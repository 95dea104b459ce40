package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"time"

	"prefork/scripts/storm/load"
)

// loadFlags are those that a storm and a comparison have both.
func loadFlags(fs *flag.FlagSet, c *load.Config) {
	fs.IntVar(&c.Fresh, "fresh", 8, "clients with a connection per request")
	fs.IntVar(&c.Kept, "kept", 8, "clients that POST on a kept connection")
	fs.IntVar(&c.Body, "body", 16<<10, "bytes of a POST; -1: none")
	fs.DurationVar(&c.Timeout, "timeout", 30*time.Second, "of one request")
	fs.StringVar(&c.Want, "want", "", "body of a good answer; none: any")
	fs.StringVar(&c.WorkerHeader, "worker-header", "X-Worker", "header that names the worker that answered")
}

// report prints a result. The error is errFailed when it has errors that no
// kill explains.
func report(out io.Writer, r *load.Result, asJSON bool) error {
	rest := r.Unexplained()
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(document(r, len(rest))); err != nil {
			return err
		}
	} else {
		fmt.Fprint(out, r.Summary())
		if r.Failed > 0 {
			fmt.Fprintf(out, "  %d of the %d errors are not those of killed workers\n", unexplained(r, len(rest)), r.Failed)
		}
	}
	if unexplained(r, len(rest)) > 0 {
		return errFailed
	}
	return nil
}

// unexplained counts errors that were not kept as unexplained.
func unexplained(r *load.Result, rest int) int64 {
	return int64(rest) + r.Failed - int64(len(r.Errors))
}

type latency struct {
	P50, P90, P99, P999, Max float64 // milliseconds
}

func latencyOf(h *load.Histogram) latency {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return latency{ms(h.Quantile(0.5)), ms(h.Quantile(0.9)), ms(h.Quantile(0.99)), ms(h.Quantile(0.999)), ms(h.Max())}
}

// document is the result as JSON has it.
func document(r *load.Result, rest int) map[string]any {
	d := r.Dip()
	return map[string]any{
		"begin": r.Begin, "seconds": r.Elapsed.Seconds(), "requests": r.Requests, "failed": r.Failed, "unexplained": unexplained(r, rest),
		"per_second": r.Rate(), "by_kind": r.ByKind, "by_phase": r.ByPhase, "errors": r.Errors,
		"fresh": latencyOf(&r.Latency[load.Fresh]), "kept": latencyOf(&r.Latency[load.Kept]), "connect": latencyOf(&r.Connect),
		"connections": r.Opened, "idle_closed": r.IdleClosed, "backlog": r.Backlog,
		"workers": r.Workers, "marks": r.Marks, "intervals": r.Intervals, "dip": d,
	}
}
