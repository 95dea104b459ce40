package pool

// fill starts workers in the seats that are wanted and empty.
func (s *State) fill() {
	for _, g := range s.gens {
		for slot := range s.toFill(g) {
			if s.mayFill(g, slot) && s.now >= s.seatDue(g, slot) {
				s.spawn(g, slot)
			}
		}
	}
}

// seats is how many seats of g are to be filled.
func (s *State) seats(g *generation) int {
	switch {
	case s.stop.told, s.phase == PhaseStopping && !s.stop.keep:
		return 0 // I7
	case s.waitsForHelper():
		return 0
	case g == s.trial:
		return g.batch()
	case g == s.running, g.closing() && !g.rolledBack:
		return g.want
	}
	return 0
}

// toFill is how many seats of g, from the first on, there are to look through
// for one that may be filled: none where all are taken, or nothing may start.
func (s *State) toFill(g *generation) int {
	n := s.seats(g)
	if len(g.seats) == n && g.in.live() == n || s.crowded(g) {
		return 0
	}
	return n
}

// closing: the queue of its own sockets is not empty yet, so that it must stay
// able to accept.
func (g *generation) closing() bool { return g.leaving && g.door.state == doorClosing }

// mayFill says whether a seat could be filled now, but for its own time.
func (s *State) mayFill(g *generation, slot int) bool {
	if s.occupant(g, slot) != nil || s.seat(g, slot).forGood {
		return false
	}
	if s.crowded(g) {
		return false
	}
	return g != s.running || s.withinSurge(g)
}

// crowded: as many workers as may are between spawn and ready. Those of a
// trial count against it alone: one that hangs must not keep the generation
// that serves from replacing its dead.
func (s *State) crowded(g *generation) bool {
	n := s.in[StateStarting]
	if s.trial != nil && g != s.trial {
		n -= s.trial.in[StateStarting]
	}
	return n >= g.cfg.StartParallel
}

// withinSurge bounds the running generation while it takes the place of the
// one before it. A spawn that only restores the count is always allowed; one
// above it counts every process of the leaving generation.
func (s *State) withinSurge(g *generation) bool {
	capacity := g.in.live()
	leaving := 0
	for _, old := range s.gens {
		if old.leaving && !old.rolledBack {
			leaving += old.in.all()
			capacity += old.in[StateReady]
		}
	}
	return capacity < g.want || g.in.live()+leaving < g.want+g.cfg.Surge(g.want)
}

// spawn starts a worker. I1 holds: the seat has no live one.
func (s *State) spawn(g *generation, slot int) {
	s.next++
	w := &worker{
		id: s.next, slot: slot, gen: g, since: s.now, spawned: s.now,
		executed: never, readyAt: never, startBy: never, goneBy: never, sampleAt: never,
	}
	if g.cfg.StartTimeout > 0 {
		w.startBy = s.now + g.cfg.StartTimeout
	}
	seat := s.seat(g, slot)
	seat.spawned = s.now
	seat.why = ""
	s.add(w)
	s.emit(Spawn{w.id, slot, g.number, g.want})
}

// shrink lets the highest slots go after a scale-down.
func (s *State) shrink() {
	for _, g := range s.gens {
		for slot := g.want; slot < len(g.seats) && !g.leaving; slot++ {
			if w := s.occupant(g, slot); w != nil {
				s.drain(w, WhyScale, true)
			}
		}
	}
}

// emptyForGood: nobody is left and nobody will come.
func (s *State) emptyForGood() bool {
	if s.phase != PhaseRunning || s.trial != nil || s.loading || s.waiting {
		return false
	}
	for slot := range s.running.want {
		if s.occupant(s.running, slot) != nil || !s.seat(s.running, slot).forGood {
			return false
		}
	}
	return true
}
