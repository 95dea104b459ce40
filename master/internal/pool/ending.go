package pool

import (
	"fmt"
	"strconv"
	"time"
)

// end is how a worker ended.
type end struct {
	reason string // for people, complete
	// own: the program's own making (a status other than 0, or a fault's
	// signal), as against status 0 and signals from outside.
	own     bool
	forGood bool // status 125
}

// faults are the signals that a program brings on itself: SIGILL, SIGABRT,
// SIGBUS, SIGFPE, SIGSEGV, SIGSYS of signal(7), by their numbers on all
// architectures that Go runs Linux on but mips.
var faults = map[int]bool{4: true, 6: true, 7: true, 8: true, 11: true, 31: true}

var signalNames = map[int]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 6: "ABRT", 7: "BUS", 8: "FPE",
	9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 31: "SYS",
}

func endOf(ev Exited) end {
	e := end{
		own:     ev.Code != 0 || faults[ev.Signal],
		forGood: ev.Signal == 0 && ev.Code == exitForGood,
	}
	switch {
	case ev.Signal != 0:
		name := signalNames[ev.Signal]
		if name == "" {
			name = strconv.Itoa(ev.Signal)
		}
		e.reason = "killed by signal " + name
	default:
		e.reason = "exited with status " + strconv.Itoa(ev.Code)
	}
	if ev.Detail != "" {
		e.reason += ": " + ev.Detail
	}
	return e
}

// ended takes a worker off the table and decides what its end means (I9).
func (s *State) ended(w *worker, e end) {
	s.remove(w)
	if s.proving(w) && w.live() {
		s.provingFailed(w, e.reason)
		return
	}
	if w.state == StateReady {
		s.lastReady = s.now
	}
	if w.gen.leaving && !w.gen.closing() || s.stop.told {
		return
	}
	if !w.live() && w.why != WhyItself && w.why != WhyDrain && w.why != WhyHeld {
		return // told: a scale-down, or a start that took too long (see overran)
	}
	if s.occupant(w.gen, w.slot) != nil {
		return // it said STOPPING and was replaced: the seat is its successor's
	}
	seat := s.seat(w.gen, w.slot)
	seat.why = e.reason
	if w.why == WhyHeld {
		seat.why = killedHolding
	}
	if e.forGood && w.readyAt != never {
		seat.forGood = true
		return
	}
	limit := backoffUnready
	if w.readyAt != never {
		limit = backoffUnsure
		if s.now-w.readyAt >= s.settleOf(w) {
			seat.fails = 0
			e.own = false
		}
	}
	if e.own || w.readyAt == never && !w.gen.everReady {
		seat.backOff(s.now, limit)
	}
}

// backOff counts a failure of the program in this seat.
func (t *seat) backOff(now, limit time.Duration) {
	t.notBefore = max(t.notBefore, now+backoff(t.fails, limit))
	t.fails++
}

// settleOf is the settle time of one worker, which may have ended.
func (s *State) settleOf(w *worker) time.Duration {
	switch {
	case w.gen.cfg.Settle != SettleAuto:
		return w.gen.cfg.Settle
	case w.goLibrary:
		return 0
	}
	return settleForeign
}

func backoff(fails int, limit time.Duration) time.Duration {
	d := backoffFirst
	for range min(fails, 20) {
		d *= 2
	}
	return min(d, limit)
}

// proving: w belongs to a generation that has yet to be accepted, and its end
// decides against it.
func (s *State) proving(w *worker) bool {
	return w.gen == s.trial || s.phase == PhaseStarting && w.gen == s.running
}

// provingFailed ends the trial, or the run when there is nothing to go back
// to.
func (s *State) provingFailed(w *worker, reason string) {
	reason = fmt.Sprintf("worker in slot %d %s", w.slot, reason)
	if w.gen == s.trial {
		s.rollBack(reason)
		return
	}
	s.beginStop(3, reason, 0)
}

// enter moves a worker on. I6: killing is final.
func (s *State) enter(w *worker, to WorkerState, why string) {
	if w.state == StateKilling {
		panic(fmt.Sprintf("pool: I6: worker %d leaves killing", w.id))
	}
	if w.state == StateReady {
		s.lastReady = s.now
	}
	s.move(w, to)
	w.why, w.since = why, s.now
}

// drain tells a worker to stop, and sets the hour of its KILL. Where it goes
// by its own wish it is not told.
func (s *State) drain(w *worker, why string, tell bool) {
	if !w.live() {
		return
	}
	timeout := w.gen.cfg.DrainTimeout
	if timeout == 0 && tell {
		s.kill(w, why)
		return
	}
	s.enter(w, StateDraining, why)
	w.toldAt = s.now
	w.goneBy = s.now + timeout
	if tell {
		s.emit(Tell{w.id})
	}
}

func (s *State) kill(w *worker, why string) {
	if w.state == StateKilling {
		return
	}
	s.enter(w, StateKilling, why)
	s.emit(Kill{w.id})
}

// killOverdue kills the workers whose drain is over.
func (s *State) killOverdue() {
	if s.in[StateDraining] == 0 {
		return
	}
	for _, w := range s.workers {
		if w.state == StateDraining && s.now >= w.goneBy {
			why := w.why
			if why == WhyItself {
				why = WhyDrain
			}
			s.kill(w, why)
		}
	}
}
