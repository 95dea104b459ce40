// Package pool decides what a master does, and does none of it: no clock, no
// I/O, no goroutine, no lock, no log. Step takes one event and the time, and
// returns the commands that follow from it; the caller carries them out and
// feeds the answers back as events.
//
//	for ev := range events {
//		for _, c := range state.Step(now(), ev) {
//			carryOut(c) // answers re-enter Step before the next outside event
//		}
//		timer.Reset(state.NextDeadline())
//	}
//
// What is wanted (a generation's count) and what is observed (its workers) are
// kept apart: an event records a fact, reconcile alone starts and stops
// workers. Time enters as data: an offset from the master's start, by a clock
// that never goes back.
//
// # Invariants
//
// The fuzz test asserts them after every Step.
//
//	I1   at most one worker of a (slot, generation) is starting or ready.
//	I2   a pid appears once.
//	I3   without a stop, a scale-down, a rollback or the worker's own wish, a
//	     worker of the old generation drains only after the commit of the new one.
//	I4   reconciling twice at one instant emits nothing the second time.
//	I5   after Step(now), NextDeadline is above now, or absent.
//	I6   a worker that is being killed is never anything else again.
//	I7   no spawn after the stop signal.
//	I8   Finish comes once, and only when no worker is left.
//	I9   every end of a worker is either one that it was told, or one that
//	     decides something: a respawn, a failed start, a failed reload, a seat
//	     that stays empty.
//	I10  no command names a worker whose end was recorded.
//	I11  a helper has one process at a time; none is started once the last
//	     worker has ended in a stop, and Finish comes after the last has ended.
//	I12  of processes that hold a lock of the store one a second is killed.
package pool
