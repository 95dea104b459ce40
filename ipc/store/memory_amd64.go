//go:build !crashpoints && !race

package store

import "sync/atomic"

// A 64-bit Go atomic store is an XCHG on this architecture, which waits until
// the line is this core's: a write of 256 bytes makes some eighty of them, and
// each that misses the cache would wait by itself. Runs of stores need their
// order and nothing more, and that MOV has here: stores of one core are seen
// in program order by all (Intel SDM 3A 9.2.2, AMD APM 2 7.2: TSO). They are
// written in assembly, as a compiler may reorder its own plain stores, and
// with one MOV for each word, as REP MOVS may reorder its (SDM 3A 9.2.4). The
// race detector would not see them: for it they are atomic stores.
//
// What has to be seen before this core reads another's word (a lock) goes
// through put, swap and cas, which are full barriers.

//go:noescape
func storeWords(to *atomic.Uint64, from *uint64, n int)

//go:noescape
func storeBytes(to *atomic.Uint64, from *byte, n int)

//go:noescape
func storePairs(base *atomic.Uint64, pairs *uint64, n int)

func (m memory) putWords(at int, words []uint64) {
	if len(words) > 0 {
		_ = &m[at+len(words)-1]
		storeWords(&m[at], &words[0], len(words))
	}
}

func (m memory) putBytes(at int, from []byte) {
	if n := len(from) / 8; n > 0 {
		_ = &m[at+n-1]
		storeBytes(&m[at], &from[0], n)
	}
}

func (m memory) putPairs(pairs []uint64) {
	for i := 0; i < len(pairs); i += 2 {
		_ = &m[pairs[i]]
	}
	if n := len(pairs) / 2; n > 0 {
		storePairs(&m[0], &pairs[0], n)
	}
}
