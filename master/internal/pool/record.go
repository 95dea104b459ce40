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
		} else if h := s.helperOf(ev.ID); h != nil {
			h.pid = ev.PID
		}
	case SpawnFailed:
		if w := s.worker(ev.ID); w != nil {
			s.ended(w, end{reason: ev.Reason, own: true})
		} else if h := s.helperOf(ev.ID); h != nil {
			s.helperEnded(h, end{reason: ev.Reason, own: true}, true)
		}
	case Executed:
		if w := s.worker(ev.ID); w != nil && w.executed == never {
			w.executed = s.now
		}
	case Notified:
		if h := s.helperOf(ev.ID); h != nil && ev.Ready {
			s.helperReady(h)
		}
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
		} else if h := s.helperOf(ev.ID); h != nil {
			s.helperEnded(h, endOf(ev), ev.Code != 0 || ev.Signal != 0)
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
	case HelperAdded:
		s.addHelper(ev)
	case HelperDropped:
		s.dropHelper(ev.Helper)
	case HelperAsked:
		s.helperAsked(ev.Helper)
	case Holding:
		s.holding(ev)
	case LetGo:
		s.letGo(ev.ID)
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
