package pool

import (
	"fmt"
	"time"
)

// CheckIndexes checks what cannot be seen from outside: that memory is bounded
// by what is alive.
func (s *State) CheckIndexes() error {
	if n := len(s.gens); n > maxDraining+2 {
		return fmt.Errorf("%d generations", n)
	}
	if s.phase != PhaseRunning || s.drainingGenerations() > 0 {
		return nil
	}
	for slot := range s.running.want {
		free := s.occupant(s.running, slot) == nil && !s.seat(s.running, slot).forGood
		if free && s.seatDue(s.running, slot) <= s.now && s.count(nil, isStarting) < s.running.cfg.StartParallel {
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
