package peers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"prefork/scripts/storm/load"
)

// Table gives the rows as Markdown.
func Table(rows []Row, plan Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%d reloads, closed loop; the same at half of that rate, open loop; %d kills of random workers, closed loop. %d workers (httpd: %d processes).",
		plan.Reloads, plan.Kills, plan.Workers, plan.Workers+httpdProcesses)
	line("Errors are failed requests of 100,000, with their number and kinds. A kill explains the requests that its worker had.")
	line("")
	line("| server | answers/s | reload: errors | dip | p99.9 open loop | max | kill: errors | of them not explained | p99.9 |")
	line("|---|---:|---|---:|---:|---:|---|---:|---:|")
	for _, r := range rows {
		if r.Err != nil {
			line("| %s | not driven: %s | | | | | | | |", r.Peer, strings.NewReplacer("\n", "; ", "|", "/").Replace(r.Err.Error()))
			continue
		}
		both := []*load.Result{r.Closed, r.Open}
		open := r.Open.All()
		kills := " | | |"
		if r.Kills != nil {
			kills = fmt.Sprintf("%s | %d | %s |", errorsOf(r.Kills), len(r.Kills.Unexplained()), millis(r.Kills.All().Quantile(0.999)))
		}
		line("| %s | %.0f | %s | %.1f %% | %s | %s | %s", r.Peer, r.Closed.Rate(), errorsOf(both...),
			100*r.Closed.Dip().Share, millis(open.Quantile(0.999)), millis(open.Max()), kills)
	}
	return b.String()
}

// errorsOf sums up what failed in some runs.
func errorsOf(results ...*load.Result) string {
	var requests, failed int64
	kinds := make(map[load.Kind]int64)
	for _, r := range results {
		requests += r.Requests
		failed += r.Failed
		for kind, n := range r.ByKind {
			kinds[kind] += n
		}
	}
	if failed == 0 {
		return fmt.Sprintf("0 of %d", requests)
	}
	var named []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		named = append(named, fmt.Sprintf("%s %d", kind, kinds[kind]))
	}
	return fmt.Sprintf("%.1f (%d of %d: %s)", 1e5*float64(failed)/float64(requests), failed, requests, strings.Join(named, ", "))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
