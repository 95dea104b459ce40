package master

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/internal/pool"
)

// logEnd writes one line about the end of a worker: what it was, why it
// ended, and what ended with it: processes, and the requests that it served.
func (m *master) logEnd(p *proc, ev pool.Exited, served string) {
	args := []any{"slot", p.slot, "gen", p.gen.number, "pid", p.pid, "uptime", short(time.Since(p.since))}
	if ev.Signal != 0 {
		args = append(args, "signal", strings.TrimPrefix(unix.SignalName(unix.Signal(ev.Signal)), "SIG"))
	} else {
		args = append(args, "exit-code", ev.Code)
	}
	if len(p.leftBehind) > 0 {
		args = append(args, "killed-behind-it", strings.Join(p.leftBehind, ", "))
	}
	if served != "" {
		args = append(args, "serving", served)
	}
	w, told := m.stateOf(p)
	if told && (ev.Code == 0 || ev.Signal != 0) {
		m.log.Info("worker ended", append(args, "why", w.Why)...)
		return
	}
	if ev.Detail != "" {
		args = append(args, "stderr", ev.Detail)
	}
	m.log.Warn("worker ended by itself", args...)
}

// warn says what is likely wrong with a command that runs all the same.
func (m *master) warn() {
	if text := m.cfg.Warning(); text != "" {
		m.log.Warn(text, "command", m.cfg.Command)
	}
}

// stateOf is what the core knows of p; told says that its end was asked for.
func (m *master) stateOf(p *proc) (w pool.Worker, told bool) {
	w, ok := m.pool.Worker(p.id)
	return w, ok && w.State >= pool.StateDraining
}

func (m *master) whyOf(p *proc) string {
	w, _ := m.stateOf(p)
	if w.Why == "" {
		return "quit"
	}
	return w.Why
}

// logChanges says who became ready since the last event.
func (m *master) logChanges() {
	for id, p := range m.fresh {
		switch stateOf(&m.pool, id) {
		case pool.StateStarting:
			continue
		case pool.StateReady:
			m.log.Debug("worker ready", "slot", p.slot, "gen", p.gen.number, "pid", p.pid, "after", short(time.Since(p.since)))
		}
		delete(m.fresh, id)
	}
}

func stateOf(s *pool.State, id pool.ID) pool.WorkerState {
	w, ok := s.Worker(id)
	if !ok {
		return pool.StateKilling
	}
	return w.State
}

// short writes a time span for people; logs hold no bare nanoseconds.
func short(d time.Duration) string { return d.Round(time.Millisecond).String() }
