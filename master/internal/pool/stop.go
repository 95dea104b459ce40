package pool

import "time"

// stopAsked begins the stop, or hurries it.
func (s *State) stopAsked() {
	switch s.phase {
	case PhaseStopping:
		s.stop.hurry = true
	case PhaseStarting:
		if s.running.readyAt == never {
			s.beginStop(0, "", 0) // nobody was told that it is ready
			return
		}
		s.beginStop(0, "", s.running.cfg.DrainDelay) // settling: TakesWork was true
	case PhaseRunning:
		s.beginStop(0, "", s.running.cfg.DrainDelay)
	}
}

// quit kills all.
func (s *State) quit() {
	if s.phase == PhaseNew || s.phase == PhaseDone {
		return
	}
	if s.phase != PhaseStopping {
		s.beginStop(0, "", 0)
	}
	if !s.stop.told {
		s.stop.told = true
		s.emit(CloseSockets{0})
	}
	s.stop.quit = true
	for _, w := range s.workers {
		s.kill(w, WhyStop)
	}
	for _, h := range s.helpers {
		s.killHelper(h, "")
	}
}

// beginStop leads to Finish with this code and reason. A reload that runs or
// waits ends with the verdict "stopping".
func (s *State) beginStop(code int, reason string, delay time.Duration) {
	if s.phase == PhaseStopping {
		return
	}
	s.stop = stopping{code: code, reason: reason, delay: s.now + delay, keep: s.phase == PhaseRunning && code == 0}
	s.phase = PhaseStopping
	s.emit(LameDuck{})
	if s.trial != nil {
		s.rollBack("stopping")
	}
	if s.loading || s.waiting {
		s.loading, s.waiting = false, false
		s.emit(Verdict{Reason: "stopping"})
	}
}

// goOnStopping takes the stop as far as it goes now: delay, door, the stop
// signal, the last exit.
func (s *State) goOnStopping() {
	if s.phase != PhaseStopping {
		return
	}
	st := &s.stop
	if !st.keep && s.in.live() == 0 {
		st.hurry = true // nobody accepts any more, and nobody will
	}
	if !st.told && st.door.state == doorOpen && (s.now >= st.delay || st.hurry) {
		s.closeDoor(&st.door, 0)
	}
	if !st.told && (st.door.state == doorEmpty || st.hurry) {
		s.tellAll()
	}
	if st.told && len(s.workers) == 0 && s.helpersGone() {
		s.phase = PhaseDone
		s.emit(Finish{st.code, st.reason})
	}
}

// tellAll sends the stop signal. The drain timeout runs from the closing of
// the door, for those that drain already too.
func (s *State) tellAll() {
	s.stop.told = true
	s.emit(CloseSockets{0})
	for _, w := range s.workers {
		s.drain(w, WhyStop, true)
		if w.state == StateDraining {
			w.goneBy = min(w.goneBy, s.stop.door.closed+s.running.cfg.DrainTimeout)
		}
	}
	s.killOverdue()
}

// closeDoor closes sockets to new connections. generation 0 means all.
func (s *State) closeDoor(d *door, generation int) {
	*d = door{state: doorClosing, closed: s.now, probeAt: s.now, probeStep: probeFirst}
	s.emit(CloseDoor{generation})
}

// watchDoors asks after the doors that are closing. After the stop signal
// there are none: all sockets are closed.
func (s *State) watchDoors() {
	if s.stop.told {
		return
	}
	for _, g := range s.gens {
		if g.leaving {
			s.watchDoor(&g.door, g.number, g.cfg.DrainTimeout)
			if g.door.state == doorEmpty {
				g.door.state = doorOpen
				s.emit(CloseSockets{g.number})
			}
		}
	}
	if s.phase == PhaseStopping {
		s.watchDoor(&s.stop.door, 0, s.running.cfg.DrainTimeout)
	}
}

func (s *State) watchDoor(d *door, generation int, timeout time.Duration) {
	if d.state != doorClosing {
		return
	}
	if s.now >= d.closed+timeout/2 {
		d.state = doorEmpty // what still waits is left: the rest of the time is for draining
		return
	}
	if s.now >= d.probeAt {
		d.probeAt = s.now + d.probeStep
		d.probeStep = min(2*d.probeStep, probeLast)
		s.emit(Probe{generation})
	}
}

// probed takes the answer: first no handshake is under way, then, asked anew,
// nothing is queued. The order matters: a handshake that ends goes into the
// queue.
func (s *State) probed(ev Probed) {
	d := &s.stop.door
	if ev.Generation != 0 {
		g := s.generation(ev.Generation)
		if g == nil {
			return
		}
		d = &g.door
	}
	if d.state != doorClosing {
		return
	}
	age := s.now - d.closed
	if d.shaken && !ev.Queued && age >= doorAtLeast {
		d.state = doorEmpty
		return
	}
	if ev.Unknown {
		d.shaken = d.shaken || age >= doorUnknown
	} else {
		d.shaken = d.shaken || !ev.Handshakes || age >= doorHandshakes
	}
}
