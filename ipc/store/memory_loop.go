//go:build !amd64 || crashpoints || race

package store

import "encoding/binary"

func (m memory) putWords(at int, words []uint64) {
	for i, word := range words {
		m.put(at+i, word)
	}
}

func (m memory) putBytes(at int, from []byte) {
	for ; len(from) >= 8; from = from[8:] {
		m.put(at, binary.LittleEndian.Uint64(from))
		at++
	}
}

func (m memory) putPairs(pairs []uint64) {
	for i := 0; i+1 < len(pairs); i += 2 {
		m.put(int(pairs[i]), pairs[i+1])
	}
}
