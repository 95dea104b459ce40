package pool

import (
	"fmt"
	"time"
)

// CheckIndexes checks what cannot be seen from outside: that the counts and
// seats that are kept are those of the workers, that memory is bounded by what
// is alive, and that no seat is forgotten.
func (s *State) CheckIndexes() error {
	var all tally
	gens := map[*generation]*tally{}
	seated := 0
	for _, w := range s.workers {
		all[w.state]++
		if gens[w.gen] == nil {
			gens[w.gen] = new(tally)
		}
		gens[w.gen][w.state]++
		if w.live() != (s.occupant(w.gen, w.slot) == w) {
			return fmt.Errorf("worker %d is in state %d, its seat has another", w.id, w.state)
		}
		if w.live() {
			seated++
		}
		if s.worker(w.id) != w {
			return fmt.Errorf("worker %d is not found by its id", w.id)
		}
	}
	if all != s.in || all.live() != seated {
		return fmt.Errorf("counts %v, kept %v", all, s.in)
	}
	for _, g := range s.gens {
		if t := gens[g]; t == nil && g.in != (tally{}) || t != nil && *t != g.in {
			return fmt.Errorf("generation %d counts %v, kept %v", g.number, t, g.in)
		}
		for i := range g.seats {
			if w := g.seats[i].live; w != nil && s.worker(w.id) != w {
				return fmt.Errorf("slot %d of generation %d has a worker that is gone", i, g.number)
			}
		}
	}
	if n := len(s.gens); n > maxDraining+2 {
		return fmt.Errorf("%d generations", n)
	}
	if s.phase != PhaseRunning || s.drainingGenerations() > 0 {
		return nil
	}
	for slot := range s.running.want {
		free := s.occupant(s.running, slot) == nil && !s.seat(s.running, slot).forGood
		if free && s.seatDue(s.running, slot) <= s.now && s.in[StateStarting] < s.running.cfg.StartParallel {
			return fmt.Errorf("slot %d is empty, and due", slot)
		}
	}
	return nil
}

// Accepted is how many workers decide about the running generation, and its
// configured settle time.
func (s *State) Accepted() (workers int, settle time.Duration) {
	workers = s.running.want
	if s.running.number > 1 {
		workers = s.running.batch()
	}
	return workers, s.running.cfg.Settle
}

// TrialWanted is the count of the trial, or of the running generation.
func (s *State) TrialWanted() int {
	if s.trial != nil {
		return s.trial.want
	}
	return s.Wanted()
}
