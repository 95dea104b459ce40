package pool

import "time"

// reconcile brings what is observed towards what is wanted. It runs until
// nothing follows any more: a step may make another one possible at the same
// instant (I4, I5).
func (s *State) reconcile() {
	for range 8 {
		before := len(s.out)
		phase, running, trial := s.phase, s.running, s.trial
		s.pass()
		if len(s.out) == before && phase == s.phase && running == s.running && trial == s.trial {
			return
		}
	}
	panic("pool: I4: reconcile does not come to rest")
}

func (s *State) pass() {
	if s.phase == PhaseNew || s.phase == PhaseDone {
		return
	}
	s.settleReadiness()
	s.judgeFirst()
	s.judgeTrial()
	s.killOverdue()
	s.lookAtHolds()
	s.watchDoors()
	s.tendHelpers()
	s.goOnStopping()
	if s.phase == PhaseDone {
		return
	}
	if !s.stop.told {
		s.replace()
		s.shrink()
		s.forget()
		s.startReload()
		s.fill()
		if s.emptyForGood() {
			s.beginStop(1, "every slot is empty for good: each worker exited with status 125", 0)
		}
	}
}

// judgeFirst declares the pool ready once its first generation is, and has
// settled.
func (s *State) judgeFirst() {
	if s.phase != PhaseStarting {
		return
	}
	if !s.settled(s.running, s.running.want) {
		return
	}
	s.phase = PhaseRunning
	s.emit(PoolReady{})
	if n := s.scalePending; n > 0 {
		s.scalePending = 0
		s.scale(Scale{To: n})
	}
}

// NextDeadline is the next instant at which time alone changes something, or
// a negative value when there is none. I5: it is above the last Step's now.
func (s *State) NextDeadline() time.Duration {
	next := never
	at := func(t time.Duration) { next = min(next, t) }
	if s.phase == PhaseNew || s.phase == PhaseDone {
		return -1
	}
	for _, w := range s.workers {
		if s.in[StateStarting]+s.in[StateDraining] == 0 {
			break // nobody has a deadline
		}
		switch w.state {
		case StateStarting:
			_, due := w.readyDue(s.now)
			if due > s.now {
				at(due)
			}
			if w.silent() && w.quiet {
				at(w.spawned + silentFrom)
			}
			at(w.startBy)
			at(w.sampleAt)
		case StateDraining:
			at(w.goneBy)
		}
	}
	for _, g := range s.gens {
		if g.readyAt != never && (g == s.trial || s.phase == PhaseStarting) {
			at(g.readyAt + s.settleTime(g))
		}
		if !s.stop.told {
			s.doorDeadline(&g.door, g.cfg.DrainTimeout, at)
		}
		for slot := range s.toFill(g) {
			if s.mayFill(g, slot) {
				at(s.seatDue(g, slot))
			}
		}
	}
	s.helperDeadlines(at)
	s.holdDeadlines(at)
	if s.phase == PhaseStopping && !s.stop.told {
		if s.stop.door.state == doorOpen {
			at(s.stop.delay)
		}
		s.doorDeadline(&s.stop.door, s.running.cfg.DrainTimeout, at)
	}
	if due := s.lastReady + readyGrace; s.phase == PhaseRunning && due > s.now && s.in[StateReady] == 0 {
		at(due) // TakesWork changes
	}
	if next == never {
		return -1
	}
	return next
}

func (s *State) doorDeadline(d *door, timeout time.Duration, at func(time.Duration)) {
	if d.state == doorClosing {
		at(d.probeAt)
		at(d.closed + timeout/2)
	}
}

// seatDue is when a seat may be filled: after its back-off, and at most once
// in respawnEvery, for whatever reason it is empty. A worker that says STOPPING
// is replaced at once, and may take its time to leave: one that says so again
// and again and stays would be ten processes a second for as long as the drain
// timeout is. So the pause doubles with each above a few that are still there.
func (s *State) seatDue(g *generation, slot int) time.Duration {
	seat := s.seat(g, slot)
	if seat.spawned == never {
		return seat.notBefore
	}
	pause := respawnEvery
	if over := seat.leaving - leavingAtOnce; over > 0 {
		pause = backoff(over, backoffUnready)
	}
	return max(seat.notBefore, seat.spawned+pause)
}
