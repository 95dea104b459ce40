//go:build faults

package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/master/control"
	"prefork/scripts/storm/load"
)

// storm is a load of package load on a pool, which is judged at its end.
type storm struct {
	*load.Load
	once   sync.Once
	result *load.Result
	err    error
}

// startStorm begins a load: fresh clients with a connection per request, and
// kept ones that POST 16 KiB. Workers name themselves in X-Worker.
func startStorm(t testing.TB, target string, fresh, kept int) *storm {
	t.Helper()
	l, err := load.Start(load.Config{Target: target, Fresh: fresh, Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{Load: l}
	t.Cleanup(s.end)
	return s
}

func (s *storm) end() { s.once.Do(func() { s.result, s.err = s.Stop() }) }

// until waits for so many more requests, whatever became of them.
func (s *storm) until(t testing.TB, more int64) {
	t.Helper()
	want := s.Done() + more
	Eventually(t, fmt.Sprintf("%d more requests", more), func() bool { return s.Done() >= want })
}

// stop ends the load and gives what became of it.
func (s *storm) stop(t testing.TB) *load.Result {
	t.Helper()
	s.end()
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.result
}

// wantClean fails the test for every error of a load.
func wantClean(t testing.TB, r *load.Result) {
	t.Helper()
	if r.Failed > 0 {
		t.Errorf("%d errors:\n%s", r.Failed, r.Summary())
	}
}

// brief is a result as a figure has it. How much a fault takes from the
// throughput is dip's: faults that follow each other at once leave no calm time
// to compare with.
func brief(r *load.Result) string {
	all := r.All()
	return fmt.Sprintf("%d errors in %d requests, %.0f/s, p50 %v, p99.9 %v, max %v",
		r.Failed, r.Requests, r.Rate(), all.Quantile(0.5).Round(10*time.Microsecond), all.Quantile(0.999).Round(100*time.Microsecond),
		all.Max().Round(100*time.Microsecond))
}

// dip is what the marked faults did to the throughput, with what it is made of.
func dip(r *load.Result) string {
	d := r.Dip()
	return fmt.Sprintf("%.0f answers/s in the %v after a fault, %.0f otherwise (%.1f %% fewer)", d.Fault, d.Window.Round(time.Millisecond), d.Calm, 100*d.Share)
}

// settled waits until the pool has so many workers, all of them ready, none
// beside them and none of those that are gone, and gives them. Name whom you
// have killed: the master may not have heard of it yet.
func (p *Pool) settled(t testing.TB, n int, gone ...control.Worker) []control.Worker {
	t.Helper()
	old := PIDs(gone)
	s := p.Until(t, fmt.Sprintf("%d workers, all ready", n), func(s control.Status) bool {
		return len(s.Workers) == n && len(Ready(s)) == n && !slices.ContainsFunc(s.Workers, func(w control.Worker) bool {
			return slices.Contains(old, w.PID)
		})
	})
	return Ready(s)
}

// scale asks for a count and wants it granted.
func (p *Pool) scale(t testing.TB, n int) {
	t.Helper()
	a, err := p.ask(control.Request{Command: control.CmdScale, Workers: n})
	if err != nil || !a.OK {
		t.Fatalf("scale to %d: %+v, %v\n%s", n, a, err, p.Err)
	}
}

// logLines counts the lines of the pool's log that have all of some texts.
func (p *Pool) logLines(texts ...string) int {
	n := 0
	for line := range strings.SplitSeq(p.Err.String(), "\n") {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// wantDeaths wants one line of the log for each worker that was killed by
// somebody else than the master.
func (p *Pool) wantDeaths(t testing.TB, n int) {
	t.Helper()
	lines := func() int { return p.logLines(`"worker ended by itself"`) }
	Eventually(t, "a line for each death", func() bool { return lines() >= n })
	if got := lines(); got != n {
		t.Errorf("%d lines about %d deaths", got, n)
	}
}
