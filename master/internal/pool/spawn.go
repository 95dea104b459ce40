package pool

// fill starts workers in the seats that are wanted and empty.
func (s *State) fill() {
	for _, g := range s.gens {
		for slot := range s.seats(g) {
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
	case g == s.trial:
		return g.batch()
	case g == s.running, g.closing() && !g.rolledBack:
		return g.want
	}
	return 0
}

// closing: the queue of its own sockets is not empty yet, so that it must stay
// able to accept.
func (g *generation) closing() bool { return g.leaving && g.door.state == doorClosing }

// mayFill says whether a seat could be filled now, but for its own time.
func (s *State) mayFill(g *generation, slot int) bool {
	if s.occupant(g, slot) != nil || s.seat(g, slot).forGood {
		return false
	}
	if s.count(nil, isStarting) >= g.cfg.StartParallel {
		return false
	}
	return g != s.running || s.withinSurge(g)
}

// withinSurge bounds the running generation while it takes the place of the
// one before it. A spawn that only restores the count is always allowed; one
// above it counts every process of the leaving generation.
func (s *State) withinSurge(g *generation) bool {
	capacity := s.count(g, isLive)
	leaving := 0
	for _, w := range s.workers {
		if w.gen.leaving && !w.gen.rolledBack {
			leaving++
			if w.state == StateReady {
				capacity++
			}
		}
	}
	return capacity < g.want || s.count(g, isLive)+leaving < g.want+g.cfg.Surge(g.want)
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
	s.workers = append(s.workers, w)
	s.emit(Spawn{w.id, slot, g.number, g.want})
}

// shrink lets the highest slots go after a scale-down.
func (s *State) shrink() {
	for _, w := range append([]*worker(nil), s.workers...) {
		if !w.gen.leaving && w.slot >= w.gen.want && w.live() {
			s.drain(w, WhyScale, true)
		}
	}
}

// emptyForGood: nobody is left and nobody will come.
func (s *State) emptyForGood() bool {
	if s.phase != PhaseRunning || s.trial != nil || s.loading || s.waiting {
		return false
	}
	for slot := range s.running.want {
		if !s.seat(s.running, slot).forGood || s.occupant(s.running, slot) != nil {
			return false
		}
	}
	return true
}
