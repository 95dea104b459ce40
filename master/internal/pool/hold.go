package pool

import (
	"slices"
	"time"
)

// Rules of a process that keeps a lock of the store while others wait: it is
// killed at once when it is stopped (state T), else when it has not let go
// after another holdPatience, and at most one process in killEvery.
const (
	holdPatience = time.Second
	killEvery    = time.Second
)

// hold is a lock that a process was seen to hold. There is one a process: it
// can hold one at a time.
type hold struct {
	id    ID
	shard int
	turn  uint64
	since time.Duration
	look  time.Duration // when it is looked at again
	asked bool          // LookAtHold is out
}

// holds takes what was seen, after a report or because it was asked for.
func (s *State) holding(ev Holding) {
	if !s.killable(ev.ID) {
		return
	}
	i := slices.IndexFunc(s.holds, func(h hold) bool { return h.id == ev.ID })
	if i < 0 {
		i = len(s.holds)
		s.holds = append(s.holds, hold{id: ev.ID, shard: -1})
	}
	h := &s.holds[i]
	h.asked = false
	if h.shard != ev.Shard || h.turn != ev.Turn {
		*h = hold{id: ev.ID, shard: ev.Shard, turn: ev.Turn, since: s.now, look: s.now + holdPatience}
	}
	if !ev.Stopped && s.now < h.since+holdPatience {
		h.look = h.since + holdPatience
		return
	}
	if s.now < s.heldKill {
		h.look = s.heldKill
		return
	}
	s.holds = slices.Delete(s.holds, i, i+1)
	s.heldKill = s.now + killEvery
	s.killHolder(ev)
}

// killable: a process of the table that is not being killed already.
func (s *State) killable(id ID) bool {
	if w := s.worker(id); w != nil {
		return w.state != StateKilling
	}
	h := s.helperOf(id)
	return h != nil && h.state != HelperKilling
}

func (s *State) letGo(id ID) {
	s.holds = slices.DeleteFunc(s.holds, func(h hold) bool { return h.id == id })
}

// killHolder ends a process that keeps a lock. What a worker drains for stays
// the reason of its going.
func (s *State) killHolder(ev Holding) {
	s.emit(KillHolder{ev.ID, ev.Shard, ev.Stopped})
	if w := s.worker(ev.ID); w != nil {
		why := w.why
		if w.live() {
			why = WhyHeld
			s.seat(w.gen, w.slot).why = killedHolding
		}
		s.enter(w, StateKilling, why)
		return
	}
	h := s.helperOf(ev.ID)
	if h.state != HelperDraining {
		h.why = killedHolding
	}
	h.enter(s.now, HelperKilling)
	h.due = never
}

// killedHolding is how such an end is told.
const killedHolding = "killed: " + WhyHeld

// lookAtHolds asks after what was seen before.
func (s *State) lookAtHolds() {
	s.holds = slices.DeleteFunc(s.holds, func(h hold) bool { return !s.killable(h.id) })
	for i := range s.holds {
		if h := &s.holds[i]; !h.asked && s.now >= h.look {
			h.asked = true
			s.emit(LookAtHold{h.id, h.shard})
		}
	}
}

func (s *State) holdDeadlines(at func(time.Duration)) {
	for _, h := range s.holds {
		if !h.asked {
			at(h.look)
		}
	}
}
