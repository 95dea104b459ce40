package master

import (
	"math"
	"os"
	"slices"

	"prefork/ipc/scoreboard"
	"prefork/master/control"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

var stateNames = map[pool.WorkerState]string{
	pool.StateStarting: control.StateStarting,
	pool.StateReady:    control.StateReady,
	pool.StateDraining: control.StateDraining,
	pool.StateKilling:  control.StateKilling,
}

// statusNow is a picture of the pool. Nothing in it is shared with the loop.
func (m *master) statusNow() *control.Status {
	m.step(pool.Tick{}) // so that what time alone changed is in it
	m.counts.StderrBytes = m.out.dropped.Load()
	s := &control.Status{
		Name: m.cfg.Name, PID: os.Getpid(), Version: m.opt.Version, Phase: m.phaseName(),
		Generation: m.pool.Generation(), Ready: m.pool.TakesWork(),
		Wanted: m.pool.Wanted(), Configured: m.pool.Configured(),
		Workers: []control.Worker{}, Listeners: []control.Listener{},
		LastReload: m.last, Message: m.message(), StartedAt: m.start,
	}
	cells := map[pool.ID]scoreboard.Snapshot{}
	for _, w := range m.pool.Workers() {
		if p := m.procs[w.ID]; p != nil {
			s.Workers = append(s.Workers, m.workerStatus(w, p, cells))
		}
	}
	slices.SortStableFunc(s.Workers, func(a, b control.Worker) int {
		if a.Slot != b.Slot {
			return a.Slot - b.Slot
		}
		return a.Generation - b.Generation
	})
	for _, seat := range m.pool.Empty() {
		e := control.Slot{Slot: seat.Slot, Why: seat.Why}
		if seat.Until >= 0 {
			e.Until = m.start.Add(seat.Until)
		}
		s.Empty = append(s.Empty, e)
	}
	for i, p := range m.running.places {
		s.Listeners = append(s.Listeners, m.listenerStatus(i, p, s.Workers, cells))
	}
	s.Dropped = m.counts
	for _, p := range m.procs {
		s.Dropped.Notifications += p.notify.dropped.Load()
	}
	return s
}

func (m *master) phaseName() string {
	switch m.pool.Phase() {
	case pool.PhaseStarting:
		return "starting"
	case pool.PhaseRunning:
		if m.pool.Trial() != 0 {
			return "reloading"
		}
		return "running"
	}
	return "stopping"
}

func (m *master) workerStatus(w pool.Worker, p *proc, cells map[pool.ID]scoreboard.Snapshot) control.Worker {
	c := control.Worker{
		Slot: w.Slot, PID: w.PID, Generation: w.Generation, State: stateNames[w.State], Why: w.Why,
		Status: p.status, Since: m.start.Add(w.Since), Cell: p.cell,
		Connections: -1, Requests: -1, Accepted: -1,
	}
	if !w.GoLibrary {
		return c // a cell that nobody writes says nothing
	}
	if snap, ok := m.snapshot(p); ok {
		cells[w.ID] = snap
		c.Connections, c.Requests, c.Accepted = snap.Connections, snap.Requests, snap.Accepted
		c.LastActive = snap.LastActive
	}
	return c
}

func (m *master) listenerStatus(i int, p sockets.Place, workers []control.Worker, cells map[pool.ID]scoreboard.Snapshot) control.Listener {
	l := control.Listener{Name: p.Name, Address: p.Open.Addr.Bound(), From: "bound", Queue: -1, Backlog: -1, Accept: string(p.Addr.Options.Accept)}
	if l.Accept == "" {
		l.Accept = m.cfg.Accept
	}
	if p.Open.Adopted {
		l.From = "systemd"
	}
	if queue, backlog, err := p.Open.Depth(); err == nil {
		l.Queue, l.Backlog = queue, backlog
	}
	if n, err := sockets.Overflows(); err == nil && n >= m.overflow0 {
		l.Overflows = n - m.overflow0
	}
	l.Imbalance = m.imbalance(i, workers, cells)
	return l
}

// imbalance is max/mean of the connections that the ready workers accepted
// from the listener in place i.
func (m *master) imbalance(i int, workers []control.Worker, cells map[pool.ID]scoreboard.Snapshot) float64 {
	var most, sum, n float64
	for id, snap := range cells {
		p := m.procs[id]
		ready := slices.ContainsFunc(workers, func(w control.Worker) bool {
			return w.PID == p.pid && w.State == control.StateReady && w.Generation == m.running.number
		})
		if !ready || i >= len(snap.AcceptedBy) {
			continue
		}
		v := float64(snap.AcceptedBy[i])
		most, sum, n = max(most, v), sum+v, n+1
	}
	if sum == 0 {
		return 0
	}
	return math.Round(most/(sum/n)*100) / 100
}
