package store

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

func words(m memory) []uint64 {
	all := make([]uint64, len(m))
	for i := range m {
		all[i] = m.get(i)
	}
	return all
}

func TestRunsOfStoresSetTheirWordsAndNoOthers(t *testing.T) {
	const size = 64
	for range 2000 {
		m, want := make(memory, size), make([]uint64, size)
		for i := range want {
			want[i] = rand.Uint64()
			m.put(i, want[i])
		}
		at, n := rand.IntN(size+1), 0
		if at < size {
			n = rand.IntN(size - at + 1)
		}
		run, bytes := make([]uint64, n), []byte(nil)
		for i := range run {
			run[i] = rand.Uint64()
			bytes = binary.LittleEndian.AppendUint64(bytes, run[i])
		}
		var pairs []uint64
		switch copy(want[at:], run); rand.IntN(3) {
		case 0:
			m.putWords(at, run)
		case 1:
			// What is left over of a word is not stored.
			m.putBytes(at, append(bytes, make([]byte, rand.IntN(8))...))
		case 2:
			for _, i := range rand.Perm(n) {
				if rand.IntN(4) == 0 {
					pairs = append(pairs, uint64(at+i), 1) // the later one counts
				}
				pairs = append(pairs, uint64(at+i), run[i])
			}
			m.putPairs(pairs)
		}
		if got := words(m); !slices.Equal(got, want) {
			t.Fatalf("%d words at %d (pairs: %v): %x, want %x", n, at, pairs, got, want)
		}
	}
}

func TestRunsOfStoresPastTheEndPanic(t *testing.T) {
	for name, store := range map[string]func(memory){
		"words":           func(m memory) { m.putWords(7, make([]uint64, 2)) },
		"words before":    func(m memory) { m.putWords(-1, make([]uint64, 1)) },
		"bytes":           func(m memory) { m.putBytes(0, make([]byte, 8*9)) },
		"pair":            func(m memory) { m.putPairs([]uint64{8, 1}) },
		"pair far away":   func(m memory) { m.putPairs([]uint64{1 << 60, 1}) },
		"pair, the other": func(m memory) { m.putPairs([]uint64{1, 1, ^uint64(0), 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			store(make(memory, 8))
		})
	}
}
