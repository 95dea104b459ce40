package pool

import (
	"fmt"
	"time"
)

// What people and the caller may know of the state. All are copies.

// Phase is how far the pool is.
func (s *State) Phase() Phase { return s.phase }

// Wanted is the worker count that is aimed for.
func (s *State) Wanted() int {
	switch {
	case s.scalePending > 0:
		return s.scalePending
	case s.running == nil:
		return 0
	}
	return s.running.want
}

// Configured is the count that the running generation's configuration gives.
func (s *State) Configured() int {
	if s.running == nil {
		return 0
	}
	return s.running.cfg.Workers
}

// Generation is the running one; Trial the one that is tried, or 0.
func (s *State) Generation() int {
	if s.running == nil {
		return 0
	}
	return s.running.number
}

// Trial is the generation that is tried, or 0.
func (s *State) Trial() int {
	if s.trial == nil {
		return 0
	}
	return s.trial.number
}

// Loading says that the configuration of a reload is being read.
func (s *State) Loading() bool { return s.loading }

// TakesWork says whether new work is welcome: from the first readiness on
// (before it has settled) to the lame duck, with at least one ready worker, or
// one less than a second ago: a respawn is quicker than a load balancer.
func (s *State) TakesWork() bool {
	switch s.phase {
	case PhaseStarting:
		return s.running.readyAt != never
	case PhaseRunning:
		return s.in[StateReady] > 0 || s.now-s.lastReady < readyGrace
	}
	return false
}

// LastReady is the last instant at which a worker was ready: now, if one is.
// Before the first it is 0.
func (s *State) LastReady(now time.Duration) time.Duration {
	if s.in[StateReady] > 0 {
		return now
	}
	return s.lastReady
}

// Counts gives the running generation's ready workers, and how many of the
// trial's deciding batch are ready.
func (s *State) Counts() (ready, trialReady, trialBatch int) {
	if s.running != nil {
		ready = s.running.in[StateReady]
	}
	if s.trial != nil {
		return ready, s.trial.in[StateReady], s.trial.batch()
	}
	return ready, 0, 0
}

// Settling says that all that is waited for is the settle time.
func (s *State) Settling() bool {
	g := s.trial
	if g == nil && s.phase == PhaseStarting {
		g = s.running
	}
	return g != nil && g.readyAt != never
}

// Told says that a stopping pool has sent the stop signal.
func (s *State) Told() bool { return s.stop.told }

// Draining counts the leaving generations.
func (s *State) Draining() int { return s.drainingGenerations() }

// Worker is one process as people see it.
type Worker struct {
	ID         ID
	PID        int
	Slot       int
	Generation int
	State      WorkerState
	Why        string
	Since      time.Duration // of this state
	Spawned    time.Duration
	GoLibrary  bool
}

func (w *worker) view() Worker {
	return Worker{w.id, w.pid, w.slot, w.gen.number, w.state, w.why, w.since, w.spawned, w.goLibrary}
}

// Workers lists all processes, oldest first.
func (s *State) Workers() []Worker {
	list := make([]Worker, 0, len(s.workers))
	for _, w := range s.workers {
		list = append(list, w.view())
	}
	return list
}

// Worker gives one process; false when it has ended.
func (s *State) Worker(id ID) (Worker, bool) {
	if w := s.worker(id); w != nil {
		return w.view(), true
	}
	return Worker{}, false
}

// Seat is a slot of the running generation that has no worker.
type Seat struct {
	Slot  int
	Why   string        // how its last worker ended, or what keeps it empty
	Until time.Duration // when it is filled, at the earliest; negative: not before a reload or scale
}

// Empty lists the slots of the running generation without a worker.
func (s *State) Empty() []Seat {
	var list []Seat
	if s.running == nil || s.stop.told {
		return nil
	}
	for slot := range s.running.want {
		if s.occupant(s.running, slot) != nil {
			continue
		}
		seat := s.seat(s.running, slot)
		until, why := s.seatDue(s.running, slot), seat.why
		if seat.forGood {
			until = -1
		} else if seat.leaving > leavingAtOnce {
			why = fmt.Sprintf("%d of its workers have said STOPPING and are still there", seat.leaving)
		}
		list = append(list, Seat{slot, why, until})
	}
	return list
}
