package pool

import (
	"fmt"
	"slices"
)

// reloadAsked notes a request. The config is read when the reload begins, so
// that one request behind the running reload is enough for all that come.
func (s *State) reloadAsked() {
	if s.phase == PhaseStopping || s.phase == PhaseDone {
		s.emit(Verdict{Reason: "stopping"})
		return
	}
	s.waiting = true
}

// startReload begins the reload that waits, as soon as it may.
func (s *State) startReload() {
	if !s.waiting || s.loading || s.trial != nil {
		return
	}
	if s.phase == PhaseStarting {
		s.sayWaits("the first generation is not ready yet")
		return
	}
	if s.phase != PhaseRunning {
		return
	}
	if n := s.drainingGenerations(); n >= maxDraining {
		oldest := slices.IndexFunc(s.gens, func(g *generation) bool { return g.leaving })
		s.sayWaits(fmt.Sprintf("%d generations drain already; generation %d is the oldest", n, s.gens[oldest].number))
		return
	}
	s.waiting, s.waitSaid, s.loading = false, false, true
	s.emit(Load{s.lastGen + 1})
}

func (s *State) sayWaits(reason string) {
	if !s.waitSaid {
		s.waitSaid = true
		s.emit(Waits{reason})
	}
}

func (s *State) drainingGenerations() int {
	n := 0
	for _, g := range s.gens {
		if g.leaving {
			n++
		}
	}
	return n
}

func (s *State) loadFailed(ev LoadFailed) {
	if s.loading {
		s.loading = false
		s.emit(Verdict{Generation: s.lastGen + 1, Reason: ev.Reason})
	}
}

// loaded starts the trial.
func (s *State) loaded(ev Loaded) {
	if !s.loading {
		return
	}
	s.loading = false
	want := ev.Config.Workers
	if s.scaled > 0 && !ev.WorkersChanged {
		want = s.scaled
	}
	s.trial = s.newGeneration(ev.Config, want)
	s.trial.adds, s.trial.removes = ev.Adds, ev.Removes
	s.trial.resetScale = ev.WorkersChanged
}

// batch is how many workers of the trial decide it.
func (g *generation) batch() int { return min(g.want, g.cfg.Surge(g.want)) }

// judgeTrial commits the trial once its batch is ready and has settled.
func (s *State) judgeTrial() {
	g := s.trial
	if g == nil {
		return
	}
	if s.settled(g, g.batch()) {
		s.commit()
	}
}

// settled says whether the first n seats of g are ready, and have been so for
// the settle time.
func (s *State) settled(g *generation, n int) bool {
	ready := g.in[StateReady] >= n
	for slot := 0; ready && slot < n; slot++ {
		w := s.occupant(g, slot)
		ready = w != nil && w.state == StateReady
	}
	if !ready {
		g.readyAt = never
		return false
	}
	if g.readyAt == never {
		g.readyAt = s.now
	}
	return s.now >= g.readyAt+s.settleTime(g)
}

func (s *State) commit() {
	old, g := s.running, s.trial
	s.running, s.trial = g, nil
	if g.resetScale {
		s.scaled = 0
	}
	s.emit(Commit{g.number})
	s.emit(Verdict{Generation: g.number})
	old.leaving = true
	if g.removes {
		s.closeDoor(&old.door, old.number)
	}
}

// rollBack gives the trial up: its workers, which have been accepting, drain
// like all others.
func (s *State) rollBack(reason string) {
	g := s.trial
	s.trial = nil
	g.leaving, g.rolledBack = true, true
	s.emit(Verdict{Generation: g.number, Reason: reason})
	if g.adds {
		s.closeDoor(&g.door, g.number)
	}
}

// replace lets leaving generations go as the running one takes their place:
// all at once, or batch by batch.
func (s *State) replace() {
	if s.leaving().live() == 0 {
		return
	}
	covered := 0
	for slot := range s.running.want {
		if s.covered(slot) {
			covered++
		}
	}
	var serving []*worker
	for _, w := range s.workers {
		switch {
		case !w.gen.leaving || !w.live() || w.gen.closing():
		case w.gen.rolledBack:
			s.drain(w, WhyRollback, true)
		case w.state == StateStarting:
			s.drain(w, WhyReload, true)
		default:
			serving = append(serving, w)
		}
	}
	excess := len(serving) - (s.running.want - covered)
	// First those whose slot is taken; where several generations leave at once
	// that may not be enough, as they have more than one in a slot.
	for _, taken := range []bool{true, false} {
		for _, w := range serving {
			if excess > 0 && w.live() && s.covered(w.slot) == taken {
				s.drain(w, WhyReload, true)
				excess--
			}
		}
	}
}

// leaving counts the workers of leaving generations.
func (s *State) leaving() (t tally) {
	for _, g := range s.gens {
		if g.leaving {
			for i, n := range g.in {
				t[i] += n
			}
		}
	}
	return t
}

// covered: the running generation has a ready worker in this slot, will never
// have one there, or has no such slot.
func (s *State) covered(slot int) bool {
	if slot >= s.running.want || s.seat(s.running, slot).forGood {
		return true
	}
	o := s.occupant(s.running, slot)
	return o != nil && o.state == StateReady
}

// forget drops generations whose last worker has ended.
func (s *State) forget() {
	if s.drainingGenerations() == 0 {
		return
	}
	kept := s.gens[:0:0]
	for _, g := range s.gens {
		if g.leaving && (g.rolledBack || !g.closing()) && g.in.all() == 0 {
			if g.closing() {
				s.emit(CloseSockets{g.number})
			}
			s.emit(Gone{g.number})
			continue
		}
		kept = append(kept, g)
	}
	s.gens = kept
}
