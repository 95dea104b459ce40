package pool

import "time"

// notified records a worker's datagram.
func (s *State) notified(ev Notified) {
	w := s.worker(ev.ID)
	if w == nil {
		return
	}
	first := !w.heard
	w.heard = true
	w.goLibrary = w.goLibrary || ev.GoLibrary
	w.saidReady = w.saidReady || ev.Ready
	if w.executed == never {
		w.executed = s.now // it speaks, so it runs; the shim's pipe is only later
	}
	if ev.Extend > 0 {
		s.extend(w, ev.Extend)
	}
	// It was taken as ready by its silence and now turns out to be one that
	// speaks: before the commit it is held to its word.
	if first && w.taken && w.state == StateReady && !w.saidReady && (w.gen == s.trial || s.phase == PhaseStarting) {
		w.taken = false
		w.readyAt = never
		s.enter(w, StateStarting, "")
	}
	if ev.Stopping && w.live() {
		if s.proving(w) {
			s.provingFailed(w, "said STOPPING before the generation was accepted")
			return
		}
		s.leave(w)
		s.drain(w, WhyItself, false)
	}
}

// extend moves a worker's deadline, to maxExtension times the timeout in all.
func (s *State) extend(w *worker, by time.Duration) {
	by = min(by, maxExtension*max(w.gen.cfg.StartTimeout, w.gen.cfg.DrainTimeout))
	switch {
	case w.state == StateStarting && w.startBy != never:
		w.startBy = max(w.startBy, min(s.now+by, w.spawned+maxExtension*w.gen.cfg.StartTimeout))
	case w.state == StateDraining && w.goneBy != never && s.phase != PhaseStopping:
		w.goneBy = max(w.goneBy, min(s.now+by, w.toldAt+maxExtension*w.gen.cfg.DrainTimeout))
	}
}

// measured adds a sample of the CPU time of w's group. The group's sum falls
// when a process of it ends; how much was used in that window is not known.
func (w *worker) measured(now, cpu time.Duration) {
	w.samples = append(w.samples, sample{now, cpu})
	w.sampleAt = now + sampleEvery
	for i := len(w.samples) - 1; i >= 0; i-- {
		if old := w.samples[i]; now-old.at >= silentWindow {
			used := cpu - old.cpu
			w.quiet = used >= 0 && used <= silentCPU
			w.samples = w.samples[i:]
			break
		}
	}
}

// silent: its readiness has to be concluded from what it does.
func (w *worker) silent() bool {
	return w.gen.cfg.Ready == Auto && !w.heard && w.executed != never && w.state == StateStarting
}

// readyDue says whether a starting worker is ready by now, and if not, when
// time alone would make it so.
func (w *worker) readyDue(now time.Duration) (ready bool, at time.Duration) {
	switch {
	case w.executed == never:
		return false, never
	case w.gen.cfg.Ready == Alive:
		at = w.executed + w.gen.cfg.Alive
		return now >= at, at
	case w.gen.cfg.Ready == Notify || w.heard:
		return w.saidReady, never
	}
	at = w.spawned + silentUntil
	return now >= at || w.quiet && now-w.spawned >= silentFrom, at
}

// settleReadiness takes workers as ready, asks for measurements, and ends
// those that overran their start.
func (s *State) settleReadiness() {
	var measure []ID
	for _, w := range s.workers {
		if s.in[StateStarting] == 0 {
			break // the rest rests
		}
		if w.state != StateStarting {
			continue
		}
		if ready, _ := w.readyDue(s.now); ready {
			w.taken = w.gen.cfg.Ready == Auto && !w.heard
			w.readyAt = s.now
			w.gen.everReady = true
			s.enter(w, StateReady, "")
			continue
		}
		if s.now >= w.startBy {
			s.overran(w)
			continue
		}
		if !w.silent() {
			w.sampleAt = never
			continue
		}
		if w.sampleAt == never {
			w.sampleAt = max(s.now, w.spawned+silentFrom-silentWindow)
		}
		if s.now >= w.sampleAt {
			w.sampleAt = s.now + sampleEvery
			measure = append(measure, w.id)
		}
	}
	if len(measure) > 0 {
		s.emit(Measure{measure})
	}
	if s.in[StateReady] > 0 {
		s.lastReady = s.now
	}
}

// overran ends a worker that was not ready in time.
func (s *State) overran(w *worker) {
	reason := "not ready " + short(w.gen.cfg.StartTimeout) + " after its start (start timeout)"
	if w.startBy > w.spawned+w.gen.cfg.StartTimeout {
		reason = "not ready " + short(w.startBy-w.spawned) + " after its start (start timeout, extended)"
	}
	s.kill(w, WhyStart)
	if s.proving(w) {
		s.provingFailed(w, reason)
		return
	}
	// The seat is free from now on, so the back-off counts from now on too,
	// not from the end of a process that may be long in dying.
	seat := s.seat(w.gen, w.slot)
	seat.why = reason
	seat.backOff(s.now, backoffUnready)
}

// settleTime is how long a generation whose workers are all ready must stay
// alive before it is trusted.
func (s *State) settleTime(g *generation) time.Duration {
	if g.cfg.Settle != SettleAuto {
		return g.cfg.Settle
	}
	for i := range g.seats {
		if w := g.seats[i].live; w != nil && !w.goLibrary {
			return settleForeign
		}
	}
	return 0
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }
