package main

import (
	"fmt"
	"strconv"
	"time"

	"prefork/master/control"
)

// countsTable says what the workers' cells do.
func countsTable(s *control.Status, now time.Time) *table {
	t := &table{}
	t.add("SLOT", "PID", "IN FLIGHT", "OLDEST", "HEARTBEAT", "P50", "P99", "BYTES IN", "BYTES OUT")
	for _, w := range s.Workers {
		oldest, beat, p50, p99 := "-", "-", "-", "-"
		if !w.Oldest.IsZero() {
			oldest = span(now.Sub(w.Oldest))
		}
		if w.HeartbeatAge > 0 {
			beat = span(seconds(w.HeartbeatAge)) + " ago"
		}
		if w.Latency != nil {
			p50, p99 = short(seconds(w.Latency.P50)), short(seconds(w.Latency.P99))
		}
		t.add(strconv.Itoa(w.Slot), strconv.Itoa(w.PID), known(w.InFlight), oldest, beat, p50, p99, known(w.BytesIn), known(w.BytesOut))
	}
	return t
}

// servingTable lists the requests of this moment, those of a worker together.
func servingTable(s *control.Status, now time.Time) *table {
	t := &table{left: 1}
	t.add("SERVING", "CLIENT", "SLOT", "PID", "FOR", "METHOD")
	for _, w := range s.Workers {
		for _, r := range w.Serving {
			path := r.Path
			if r.Cut {
				path += "..."
			}
			t.add(path, r.Client, strconv.Itoa(w.Slot), strconv.Itoa(w.PID), span(now.Sub(r.Since)), r.Method)
		}
		if more := w.InFlight - int64(len(w.Serving)); more > 0 {
			t.add(fmt.Sprintf("%d more", more), "", strconv.Itoa(w.Slot), strconv.Itoa(w.PID), "", "")
		}
	}
	return t
}

// totalsLine says what the pool has done since its master began.
func totalsLine(t control.Totals) string {
	line := fmt.Sprintf("%d requests on %d connections, %d bytes in, %d bytes out", t.Requests, t.Accepted, t.BytesIn, t.BytesOut)
	if t.Cut > 0 {
		line += fmt.Sprintf(", %d requests cut by the end of their worker", t.Cut)
	}
	if t.Latency != nil {
		line += fmt.Sprintf("; half within %s, 99 %% within %s", short(seconds(t.Latency.P50)), short(seconds(t.Latency.P99)))
	}
	return line
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// short writes a latency with two digits or three: "850µs", "12.5ms", "1.23s".
func short(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
