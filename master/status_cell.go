package master

import (
	"time"

	"prefork/ipc/scoreboard"
	"prefork/master/control"
	"prefork/master/internal/pool"
)

// cellStatus adds to a worker's status what its cell says; nil where it has none,
// or nobody writes it.
func (m *master) cellStatus(c *control.Worker, w pool.Worker, p *proc, serving bool) *scoreboard.Snapshot {
	snap, ok := m.snapshot(p)
	if !ok || snap.State == scoreboard.StateStarting && !(w.GoLibrary && w.State == pool.StateStarting) {
		return nil // a cell that nobody writes says nothing
	}
	c.Connections, c.Requests, c.Accepted = snap.Connections, snap.Requests, snap.Accepted
	c.LastActive = snap.LastActive
	c.Counts = control.Counts{
		InFlight: snap.InFlight, BytesIn: snap.BytesIn, BytesOut: snap.BytesOut,
		Heartbeat: int64(snap.Heartbeat & (1<<63 - 1)), Oldest: snap.Oldest,
	}
	if !snap.LastActive.IsZero() {
		c.HeartbeatAge = max(time.Since(snap.LastActive), time.Nanosecond).Seconds()
	}
	if snap.Requests > 0 {
		if h, err := m.board.Latency(p.cell); err == nil {
			c.Latency = latency(&h)
		} else {
			m.counts.Snapshots++
		}
	}
	if serving && snap.InFlight > 0 {
		c.Serving = m.serving(p)
	}
	return &snap
}

func (m *master) serving(p *proc) (list []control.Serving) {
	all, err := m.board.Serving(p.cell)
	if err != nil {
		m.counts.Snapshots++
	}
	for _, s := range all {
		list = append(list, control.Serving{Method: s.Method, Path: s.Path, Client: s.Client, Cut: s.Cut, Since: s.Since})
	}
	return list
}

// totals gives the pool's counts, of workers that have ended, too.
func (m *master) totals() control.Totals {
	t, h := m.board.Totals(), m.board.LatencyTotals()
	return control.Totals{
		Requests: t.Requests, Accepted: t.Accepted, BytesIn: t.BytesIn, BytesOut: t.BytesOut, Cut: t.Cut,
		Latency: latency(&h),
	}
}

func latency(h *scoreboard.Histogram) *control.Latency {
	n := h.Count()
	if n == 0 {
		return nil
	}
	return &control.Latency{Count: n, P50: h.Quantile(0.5).Seconds(), P99: h.Quantile(0.99).Seconds()}
}
