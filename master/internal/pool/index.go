package pool

import (
	"cmp"
	"slices"
)

// What a Step asks for again and again is kept: the counts by state, and who
// sits in a seat. A Step in which nobody starts, drains or is missing then
// costs the same with thousands of workers as with ten, and any other one a
// pass over them. Only add, move, leave and remove change these.

// tally counts workers by their state.
type tally [StateKilling + 1]int

func (t tally) live() int { return t[StateStarting] + t[StateReady] }

func (t tally) all() int { return t.live() + t[StateDraining] + t[StateKilling] }

// add puts a starting worker on the table, and in its seat.
func (s *State) add(w *worker) {
	s.workers = append(s.workers, w)
	s.in[w.state]++
	w.gen.in[w.state]++
	s.seat(w.gen, w.slot).live = w
}

// move changes a worker's state; the seat is free once it is not live.
func (s *State) move(w *worker, to WorkerState) {
	s.in[w.state]--
	w.gen.in[w.state]--
	w.state = to
	s.in[to]++
	w.gen.in[to]++
	if !w.live() {
		s.vacate(w)
	}
}

// remove takes a worker off the table. Its state stays what it was.
func (s *State) remove(w *worker) {
	if i, ok := s.find(w.id); ok {
		s.workers = slices.Delete(s.workers, i, i+1)
		s.in[w.state]--
		w.gen.in[w.state]--
		s.vacate(w)
		if w.byItself {
			s.seat(w.gen, w.slot).leaving--
		}
	}
}

// leave notes that a worker goes by its own wish: its seat counts it until it
// has ended.
func (s *State) leave(w *worker) {
	w.byItself = true
	s.seat(w.gen, w.slot).leaving++
}

func (s *State) vacate(w *worker) {
	if seat := s.seat(w.gen, w.slot); seat.live == w {
		seat.live = nil
	}
}

// worker is the one with this id, or nil.
func (s *State) worker(id ID) *worker {
	if i, ok := s.find(id); ok {
		return s.workers[i]
	}
	return nil
}

func (s *State) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(s.workers, id, func(w *worker, id ID) int { return cmp.Compare(w.id, id) })
}

// occupant is the live worker of a seat, or nil.
func (s *State) occupant(g *generation, slot int) *worker {
	if slot >= len(g.seats) {
		return nil
	}
	return g.seats[slot].live
}
