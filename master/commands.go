package master

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/ipc/notify"
	"prefork/ipc/scoreboard"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

// do carries out one command of the core, and gives its answer where it has
// one.
func (m *master) do(c pool.Command) pool.Event {
	switch c := c.(type) {
	case pool.Spawn:
		return m.spawn(c)
	case pool.Tell:
		m.tell(m.procs[c.ID])
	case pool.Kill:
		m.kill(m.procs[c.ID])
	case pool.Measure:
		return m.measure(c)
	case pool.Load:
		m.load(c.Generation)
	case pool.Commit:
		m.commit()
	case pool.Verdict:
		m.verdict(c)
	case pool.Waits:
		m.log.Info("reload waits", "reason", c.Reason)
		progress(m.waiting, "waiting: "+c.Reason)
	case pool.PoolReady:
		m.poolReady()
	case pool.LameDuck:
		m.lameDuck()
	case pool.CloseDoor:
		m.closeDoor(c.Generation)
	case pool.Probe:
		return m.probe(c.Generation)
	case pool.CloseSockets:
		m.closeSockets(c.Generation)
	case pool.Gone:
		m.log.Info("generation gone", "gen", c.Generation)
		delete(m.gens, c.Generation)
		m.dropFronts()
		memoryBack()
	case pool.StartHelper:
		return m.startHelper(c)
	case pool.TellHelper:
		m.tellHelper(m.helpers[c.ID])
	case pool.KillHelper:
		m.killHelper(m.helpers[c.ID])
	case pool.WatchHelper:
		return m.watchHelper(c.Helper)
	case pool.LookAtHold:
		return m.lookAtHold(c)
	case pool.KillHolder:
		m.killHolder(c)
	case pool.Finish:
		m.finish(c)
	default:
		panic(fmt.Sprintf("master: unknown command %T", c))
	}
	return nil
}

// tell sends the stop signal of the worker's own generation.
func (m *master) tell(p *proc) {
	if p == nil {
		return
	}
	if m.quick && p.goLibrary {
		p.poke(ipc.LifelineQuick)
	}
	if err := p.signal(p.gen.cfg.StopSignal); err != nil && err != unix.ESRCH {
		m.log.Warn("cannot send the stop signal", "slot", p.slot, "pid", p.pid, "error", err)
	}
}

// kill ends a worker that does not end by itself. KILL goes to the whole
// group, which exists as long as its leader is not
// reaped (only this goroutine reaps), and to the worker itself, which may have
// moved to another group: setpgid(2).
func (m *master) kill(p *proc) {
	if p == nil {
		return
	}
	m.log.Warn("killing a worker", "slot", p.slot, "gen", p.gen.number, "pid", p.pid, "why", m.whyOf(p))
	m.killGroup(p)
}

func (m *master) killGroup(p *proc) {
	for _, err := range []error{unix.Kill(-p.pid, unix.SIGKILL), p.signal(unix.SIGKILL)} {
		if err != nil && err != unix.ESRCH {
			m.log.Error("cannot kill", "pid", p.pid, "error", err)
		}
	}
}

func (m *master) measure(c pool.Measure) pool.Event {
	leaders := make(map[int]pool.ID, len(c.IDs))
	for _, id := range c.IDs {
		if p := m.procs[id]; p != nil {
			leaders[p.pid] = id
		}
	}
	cpu := make(map[pool.ID]time.Duration, len(leaders))
	for pid, used := range groupsCPU(leaders) {
		cpu[leaders[pid]] = used
	}
	return pool.Measured{CPU: cpu}
}

func (m *master) commit() {
	before := m.cfg
	m.running, m.trial = m.trial, nil
	m.cfg = m.running.cfg
	if m.cfg.LogFormat != before.LogFormat || m.cfg.LogLevel != before.LogLevel {
		m.log = m.opt.Log(m.out, m.cfg)
	}
	if !slices.Equal(m.cfg.Command, before.Command) {
		m.warn()
	}
}

func (m *master) poolReady() {
	ready, _, _ := m.pool.Counts()
	m.log.Info("pool ready", "workers", ready, "gen", m.pool.Generation(), "after", short(time.Since(m.start)))
	m.up.ready()
	memoryBack()
}

func (m *master) lameDuck() {
	m.up.stopping()
}

// leaving lists the sockets that only a leaving generation has; with 0, all.
func (m *master) leaving(number int) []*sockets.Socket {
	if number == 0 {
		return slices.Clone(m.sockets)
	}
	g := m.gens[number]
	if g == nil {
		return nil
	}
	var list []*sockets.Socket
	for _, s := range g.only(m.running) {
		if s.FD >= 0 && (m.trial == nil || !m.trial.has(s)) {
			list = append(list, s)
		}
	}
	return list
}

func (m *master) closeDoor(number int) {
	for _, s := range m.leaving(number) {
		err := s.CloseDoor()
		if errors.Is(err, sockets.ErrAjar) {
			m.log.Info("a connection that comes while the last worker closes the listener may be reset", "address", s.Addr.Bound(), "reason", err)
			continue
		}
		if err != nil {
			m.log.Warn("cannot close the door of a listener: connections that come now may be reset", "address", s.Addr.String(), "error", err)
		}
	}
}

// probe asks after sockets whose door is closed. One that systemd holds has
// none, and its queue waits for the next instance; an abstract address goes
// on taking connections until it is shut down.
func (m *master) probe(number int) pool.Event {
	ev := pool.Probed{Generation: number}
	for _, s := range m.leaving(number) {
		if s.Adopted || s.Addr.Abstract {
			continue
		}
		if s.Addr.Network == sockets.NetworkTCP {
			half, err := s.SynRecv()
			if err != nil {
				ev.Unknown = true
			}
			ev.Handshakes = ev.Handshakes || half
		}
		queued, err := s.Queued()
		if err != nil {
			m.log.Warn("cannot see the queue of a listener", "address", s.Addr.String(), "error", err)
			continue
		}
		ev.Queued = ev.Queued || queued
	}
	return ev
}

// closeSockets closes the master's copies. The workers that hold theirs are
// told right after.
func (m *master) closeSockets(number int) {
	for _, s := range m.leaving(number) {
		if err := s.Shutdown(); err != nil {
			m.log.Warn("cannot shut a listener down", "address", s.Addr.String(), "error", err)
		}
		if err := s.Close(); err != nil {
			m.log.Warn("cannot close a listener", "address", s.Addr.String(), "error", err)
		}
		m.sockets = slices.DeleteFunc(m.sockets, func(x *sockets.Socket) bool { return x == s })
	}
}

func (m *master) finish(c pool.Finish) {
	m.done, m.doneCode = true, c.Code
	if c.Code != 0 {
		m.log.Error("stopped", "exit-code", c.Code, "reason", c.Reason)
		m.up.send(notify.Status("failed: " + c.Reason))
	} else {
		m.log.Info("stopped", "uptime", short(time.Since(m.start)))
	}
}

// retire takes the cell of an ended worker back.
func (m *master) retire(p *proc) {
	m.board.Free(p.cell)
	p.cell = -1
}

// snapshot reads a worker's cell, if it has a good one.
func (m *master) snapshot(p *proc) (scoreboard.Snapshot, bool) {
	if p.cell < 0 {
		return scoreboard.Snapshot{}, false
	}
	s, err := m.board.Read(p.cell)
	if err != nil {
		m.counts.Snapshots++
		return s, false
	}
	return s, true
}
