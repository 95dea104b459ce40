package master

import (
	"math"
	"os"
	"slices"

	"prefork/ipc/scoreboard"
	"prefork/ipc/store"
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
func (m *master) statusNow(serving bool) *control.Status {
	m.step(pool.Tick{}) // so that what time alone changed is in it
	m.counts.StderrBytes = m.out.dropped.Load()
	s := &control.Status{
		Name: m.cfg.Name, PID: os.Getpid(), Version: m.opt.Version, Phase: m.phaseName(),
		Generation: m.pool.Generation(), Ready: m.pool.TakesWork(),
		Wanted: m.pool.Wanted(), Configured: m.pool.Configured(),
		Workers: []control.Worker{}, Listeners: []control.Listener{},
		LastReload: m.last, Message: m.message(), StartedAt: m.start,
	}
	var overflows uint64
	if n, err := sockets.Overflows(); err == nil && n >= m.overflow0 {
		overflows = n - m.overflow0
	}
	var cells []scoreboard.Snapshot // of the ready workers of the running generation
	for _, w := range m.pool.Workers() {
		if p := m.procs[w.ID]; p != nil {
			c, snap := m.workerStatus(w, p, serving)
			s.Workers = append(s.Workers, c)
			if snap != nil && w.State == pool.StateReady && w.Generation == m.running.number {
				cells = append(cells, *snap)
			}
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
		l := m.listenerStatus(p)
		l.Imbalance = imbalance(i, cells)
		l.Overflows = overflows
		s.Listeners = append(s.Listeners, l)
	}
	s.Store = m.storeStatus()
	s.Totals = m.totals()
	s.Dropped = m.counts
	for _, list := range []map[pool.ID]*proc{m.procs, m.helpers} {
		for _, p := range list {
			s.Dropped.Notifications += p.notify.dropped.Load()
		}
	}
	return s
}

func (m *master) phaseName() string {
	switch m.pool.Phase() {
	case pool.PhaseStarting:
		return "starting"
	case pool.PhaseRunning:
		if m.pool.Loading() || m.pool.Trial() != 0 {
			return "reloading"
		}
		return "running"
	}
	return "stopping"
}

// workerStatus also gives the worker's cell, nil where it has none that says
// something.
func (m *master) workerStatus(w pool.Worker, p *proc, serving bool) (c control.Worker, cell *scoreboard.Snapshot) {
	c = control.Worker{
		Slot: w.Slot, PID: w.PID, Generation: w.Generation, State: stateNames[w.State], Why: w.Why,
		Status: p.status, Since: m.start.Add(w.Since), Cell: p.cell,
		Connections: -1, Requests: -1, Accepted: -1, Counts: control.NoCounts,
	}
	cell = m.cellStatus(&c, w, p, serving)
	return c, cell
}

var helperStates = map[pool.HelperState]string{
	pool.HelperResting:  control.StateResting,
	pool.HelperStarting: control.StateStarting,
	pool.HelperReady:    control.StateReady,
	pool.HelperDraining: control.StateDraining,
	pool.HelperKilling:  control.StateKilling,
}

func (m *master) storeStatus() control.Store {
	cfg := m.store.cfg
	s := control.Store{Kind: cfg.kindName(), File: m.cfg.StoreFile}
	switch cfg.Kind {
	case StoreBackend:
		s.URL = cfg.String()
	case StoreMemory:
		s.Full = "evict"
		if cfg.Memory.Full == store.RefuseFull {
			s.Full = "refuse"
		}
		if m.store.segment != nil {
			s.Size = m.store.segment.Size()
		}
	}
	for _, h := range m.pool.Helpers() {
		f := m.store.front(h.Helper)
		if f == nil {
			continue // its socket is closed; it goes
		}
		status := control.Helper{
			Socket: f.socket.Addr.Path, UID: f.ids.uid, PID: h.PID, State: helperStates[h.State], Why: h.Why,
			Since: m.start.Add(h.Since), Restarts: h.Restarts,
		}
		if h.Until >= 0 {
			status.Until = m.start.Add(h.Until)
		}
		s.Helpers = append(s.Helpers, status)
	}
	return s
}

func (m *master) listenerStatus(p sockets.Place) control.Listener {
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
	return l
}

// imbalance is max/mean of the connections that workers accepted from the
// listener in place i.
func imbalance(i int, cells []scoreboard.Snapshot) float64 {
	if i >= len(scoreboard.Snapshot{}.AcceptedBy) {
		return 0
	}
	var most, sum int64
	for _, snap := range cells {
		most, sum = max(most, snap.AcceptedBy[i]), sum+snap.AcceptedBy[i]
	}
	if sum == 0 {
		return 0
	}
	mean := float64(sum) / float64(len(cells))
	return math.Round(float64(most)/mean*100) / 100
}
