package store

import "sync/atomic"

// memory is a segment as words. put, swap and the others are every store that
// this package makes into it: each is one instruction, so a process that is
// killed leaves a prefix of them, in program order (SIGKILL takes effect
// between two instructions; Go's atomics are ordered on every architecture).
// putWords, putBytes (whole words) and putPairs (word, value, word, ...) are as
// many stores, in order, which others see in that order; that this process'
// next load comes after them is not said. The crashpoints build looks at the
// segment after each store.
type memory []atomic.Uint64

func (m memory) get(i int) uint64 { return m[i].Load() }

func (m memory) put(i int, v uint64) {
	m[i].Store(v)
	if crashpoints {
		crashpoint(m)
	}
}

func (m memory) swap(i int, v uint64) (old uint64) {
	old = m[i].Swap(v)
	if crashpoints {
		crashpoint(m)
	}
	return old
}

func (m memory) cas(i int, old, v uint64) bool {
	done := m[i].CompareAndSwap(old, v)
	if crashpoints && done {
		crashpoint(m)
	}
	return done
}

func (m memory) add(i int, delta uint64) uint64 {
	sum := m[i].Add(delta)
	if crashpoints {
		crashpoint(m)
	}
	return sum
}
