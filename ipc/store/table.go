package store

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"sync/atomic"

	"prefork/ipc/shm"
)

// table is the store during one operation.
// Preconditions of all methods: the store's lock is held.
type table struct {
	segment *shm.Segment
	now     int64 // CLOCK_BOOTTIME: what the wall clock does expires nothing

	// What find saw.
	hash  uint32
	at    int // the key's place in the index, -1 when it has none
	block int // the key's block, -1 when it has none
	empty int // an unused place in the index, -1 when there is none
	used  int // places in use
	taken [blocks / 64]uint64
}

func (t *table) index(i int) *atomic.Uint64 { return t.segment.Word(offIndex + 8*i) }

func (t *table) word(block, offset int) *atomic.Uint64 {
	return t.segment.Word(offBlocks + block*blockSize + offset)
}

// find looks through the whole index: it is 6 KiB, and what is free must be
// known too. An entry that has expired is taken out where it is met.
func (t *table) find(key string) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	t.hash, t.at, t.block, t.empty = h.Sum32(), -1, -1, -1
	for i := range blocks {
		w := t.index(i).Load()
		if w == 0 {
			t.empty = i
			continue
		}
		block := int(uint32(w)) - 1
		if block < 0 || block >= blocks {
			return fmt.Errorf("%w: index %d names block %d of %d", ErrCorrupt, i, block, blocks)
		}
		if uint32(w>>32) == t.hash {
			same, err := t.holds(block, key)
			if err != nil {
				return err
			}
			if same && t.expired(block) {
				t.index(i).Store(0)
				t.empty = i
				continue
			}
			if same {
				t.at, t.block = i, block
			}
		}
		t.used++
		t.taken[block/64] |= 1 << (block % 64)
	}
	return nil
}

func (t *table) holds(block int, key string) (bool, error) {
	lengths := t.word(block, offLengths).Load()
	if n := uint32(lengths); n > MaxKey {
		return false, fmt.Errorf("%w: block %d has a key of %d bytes", ErrCorrupt, block, n)
	} else if int(n) != len(key) {
		return false, nil
	}
	if n := lengths >> 32; n > MaxValue {
		return false, fmt.Errorf("%w: block %d has a value of %d bytes", ErrCorrupt, block, n)
	}
	var have [MaxKey]byte
	t.segment.Load(have[:len(key)], offBlocks+block*blockSize+offKey)
	return string(have[:len(key)]) == key, nil
}

func (t *table) expiry(block int) int64 { return int64(t.word(block, offExpiry).Load()) }

func (t *table) expired(block int) bool {
	at := t.expiry(block)
	return at != 0 && at <= t.now
}

// value copies what a block holds.
func (t *table) value(block int) []byte {
	n := min(t.word(block, offLengths).Load()>>32, MaxValue)
	value := make([]byte, n)
	t.segment.Load(value, offBlocks+block*blockSize+offValue)
	return value
}

func (t *table) remove() {
	if t.at >= 0 {
		t.index(t.at).Store(0)
	}
}

// write puts an entry into a free block and publishes it.
// Preconditions: find was called for the key; key and value are in bounds.
func (t *table) write(key string, value []byte, expiry int64) error {
	place := t.at
	if place < 0 {
		if t.used >= MaxEntries {
			t.sweep()
		}
		if t.used >= MaxEntries {
			return fmt.Errorf("%w: %d entries", ErrFull, t.used)
		}
		place = t.empty
	}
	block := -1
	for i, w := range t.taken {
		if w != ^uint64(0) {
			block = 64*i + bits.TrailingZeros64(^w)
			break
		}
	}
	if block < 0 || place < 0 {
		return fmt.Errorf("%w: no free block beside %d entries", ErrCorrupt, t.used)
	}
	base := offBlocks + block*blockSize
	t.word(block, offExpiry).Store(uint64(expiry))
	t.word(block, offLengths).Store(uint64(len(value))<<32 | uint64(len(key)))
	t.segment.Store(base+offKey, []byte(key))
	t.segment.Store(base+offValue, value)
	t.index(place).Store(uint64(t.hash)<<32 | uint64(block+1)) // now it has happened
	return nil
}

// sweep takes out all that has expired.
func (t *table) sweep() {
	for i := range blocks {
		w := t.index(i).Load()
		block := int(uint32(w)) - 1
		if w == 0 || block < 0 || block >= blocks || !t.expired(block) {
			continue
		}
		t.index(i).Store(0)
		t.taken[block/64] &^= 1 << (block % 64)
		t.used--
		t.empty = i
	}
}
