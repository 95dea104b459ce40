package pool

import "fmt"

// record writes an event down. What follows from it is reconcile's work,
// except where the event itself decides: the end of a worker, a stop.
func (s *State) record(ev Event) {
	switch ev := ev.(type) {
	case Begin:
		if s.phase != PhaseNew {
			panic("pool: Begin twice")
		}
		s.phase = PhaseStarting
		s.running = s.newGeneration(ev.Config, ev.Config.Workers)
	case Tick:
	case Spawned:
		if w := s.worker(ev.ID); w != nil {
			w.pid = ev.PID
		}
	case SpawnFailed:
		if w := s.worker(ev.ID); w != nil {
			s.ended(w, end{reason: ev.Reason, own: true})
		}
	case Executed:
		if w := s.worker(ev.ID); w != nil && w.executed == never {
			w.executed = s.now
		}
	case Notified:
		s.notified(ev)
	case Measured:
		for id, cpu := range ev.CPU {
			if w := s.worker(id); w != nil {
				w.measured(s.now, cpu)
			}
		}
	case Exited:
		if w := s.worker(ev.ID); w != nil {
			s.ended(w, endOf(ev))
		}
	case ReloadAsked:
		s.reloadAsked()
	case Loaded:
		s.loaded(ev)
	case LoadFailed:
		s.loadFailed(ev)
	case Scale:
		s.scale(ev)
	case Stop:
		s.stopAsked()
	case Quit:
		s.quit()
	case Probed:
		s.probed(ev)
	default:
		panic(fmt.Sprintf("pool: unknown event %T", ev))
	}
}

// scale changes the wanted count; before readiness it waits. A stopping pool
// refuses it (the caller answers so: see Stopping).
func (s *State) scale(ev Scale) {
	if s.phase == PhaseStopping || s.phase == PhaseDone {
		return
	}
	n := ev.To
	if n == 0 {
		n = s.Wanted() + ev.By
	}
	n = max(1, n)
	if s.phase == PhaseStarting {
		s.scalePending = n
		return
	}
	s.scaled = n
	for _, g := range s.gens {
		if g.leaving {
			continue
		}
		g.want = n
		g.resetScale = false
		for i := range g.seats {
			g.seats[i].forGood = false
			g.seats[i].fails = 0
			g.seats[i].notBefore = 0
		}
	}
}
