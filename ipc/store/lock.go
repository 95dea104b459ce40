package store

import (
	"time"

	"prefork/ipc/shm"
)

// The internal lock of a shard is held for microseconds. Its word is the
// holder's id and, in the lowest bit, whether somebody waits (futex(7)): who
// waits sets the bit, who unlocks with the bit set wakes one, and who was woken
// takes the lock with the bit set, as there may be more.
const (
	spins    = 60                      // looks at the word before a wait
	patience = 10 * time.Millisecond   // of a wait before the kernel is asked whether the holder lives
	busy     = 250 * time.Millisecond  // of one holder's turn before ErrBusy
	starved  = 1500 * time.Millisecond // of waiting, whoever had it, before ErrBusy
)

// lock takes a shard's lock. A dead holder's is taken over and its change made
// whole. ErrBusy: a holder that lives kept it for too long.
func (e *Embedded) lock(sh int) error {
	word := shard(sh) + sLock
	mine := e.id << 1
	if !e.m.cas(word, 0, mine) {
		if err := e.lockSlowly(sh, word, mine); err != nil {
			return err
		}
	}
	turn := shard(sh) + sTurn
	e.m.put(turn, e.m.get(turn)+1)
	if e.closed.Load() {
		e.unlock(sh) // Close waits for those who have one, and lets nobody else begin
		return ErrClosed
	}
	return nil
}

func (e *Embedded) lockSlowly(sh, word int, mine uint64) error {
	for range spins {
		if e.m.get(word) == 0 && e.m.cas(word, 0, mine) {
			return nil
		}
	}
	mine |= 1
	began := time.Now()
	since, turn := began, e.m.get(shard(sh)+sTurn) // of the present holder
	for {
		held := e.m.get(word)
		switch {
		case held == 0:
			if e.m.cas(word, 0, mine) {
				return nil
			}
			continue
		case held&1 == 0:
			if !e.m.cas(word, held, held|1) {
				continue
			}
			held |= 1
		}
		shm.Wait(&e.m[word], held, e.patience)
		now := time.Now()
		if t := e.m.get(shard(sh) + sTurn); t != turn || e.m.get(word) != held {
			since, turn = now, t
		} else if now.Sub(since) >= e.patience && !e.alive(held>>1) {
			// The id is never given again: a word that still has it is the
			// dead one's.
			if e.m.cas(word, held, mine) {
				e.replay(sh)
				e.count(cRepairs)
				return nil
			}
			continue
		}
		stuck := now.Sub(since) > busy
		if stuck && e.onBusy != nil {
			e.onBusy(sh, held>>1)
		}
		if stuck || now.Sub(began) > starved {
			e.count(cBusy)
			return ErrBusy
		}
	}
}

func (e *Embedded) unlock(sh int) {
	word := shard(sh) + sLock
	if e.m.swap(word, 0)&1 != 0 {
		// Killed before this, it leaves a waiter that looks again after its
		// patience.
		shm.Wake(&e.m[word], 1)
	}
}
