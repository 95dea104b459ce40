package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// shownErrors is how many errors a summary spells out.
const shownErrors = 10

// Summary gives the result in a few lines, for people.
func (r *Result) Summary() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%d requests in %.1f s, %.0f good answers/s, %d failed (%.1f of 100,000)",
		r.Requests, r.Elapsed.Seconds(), r.Rate(), r.Failed, r.Per100k())
	for mode, by := range r.By {
		h := &r.Latency[mode]
		line("  %-5s  %d requests, %d failed; p50 %v, p90 %v, p99 %v, p99.9 %v, max %v", Mode(mode), by.Requests, by.Failed,
			round(h.Quantile(0.5)), round(h.Quantile(0.9)), round(h.Quantile(0.99)), round(h.Quantile(0.999)), round(h.Max()))
	}
	line("  %d connections, connect p99.9 %v, max %v; %d kept ones closed while idle",
		r.Opened, round(r.Connect.Quantile(0.999)), round(r.Connect.Max()), r.IdleClosed)
	if r.Requests > 0 {
		line("  the driver used %v of a processor a request, %.0f %% of one", round(r.CPU/time.Duration(r.Requests)), 100*r.CPU.Seconds()/r.Elapsed.Seconds())
	}
	if r.Backlog > 0 {
		line("  %d requests were due and not sent: the server is slower than the rate", r.Backlog)
	}
	if len(r.Workers) > 0 {
		low, high := int64(-1), int64(0)
		for n := range maps.Values(r.Workers) {
			if low < 0 || n < low {
				low = n
			}
			high = max(high, n)
		}
		line("  %d workers answered, %d to %d requests each", len(r.Workers), low, high)
	}
	if len(r.Marks) > 0 {
		d := r.Dip()
		line("  %d faults; %.0f answers/s in the %v after one, %.0f otherwise (dip %.1f %%); worst tenth of a second %.0f/s",
			len(r.Marks), d.Fault, round(d.Window), d.Calm, 100*d.Share, d.Worst)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.ByKind)) {
		line("  error %s: %d", kind, r.ByKind[kind])
	}
	for i, e := range r.Errors {
		if i == shownErrors {
			line("  ... and %d more", r.Failed-shownErrors)
			break
		}
		line("  %v", e)
	}
	return b.String()
}

// Per100k gives the failed requests of 100,000.
func (r *Result) Per100k() float64 {
	if r.Requests == 0 {
		return 0
	}
	return 1e5 * float64(r.Failed) / float64(r.Requests)
}

// round keeps three digits.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
