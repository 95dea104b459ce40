package store

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"prefork/ipc/shm"
)

// FuzzRecovery gives a process a segment that somebody scribbled on, locks and
// journals included, and whose last users are dead. It may find damage, and
// must neither crash, nor hang, nor write outside of what a change may set.
// The input is a list of 10 bytes each: a word of the segment, its new value.
func FuzzRecovery(f *testing.F) {
	word := func(at int, value uint64) []byte {
		b := binary.LittleEndian.AppendUint16(nil, uint16(at-offShards))
		return binary.LittleEndian.AppendUint64(b, value)
	}
	s0, index := shard(0), offShards+2*shardWords+16
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	f.Add([]byte{})
	f.Add(join(word(s0+sLock, 5<<1), word(s0+sJournal, 3)))                                         // a dead holder, half a journal
	f.Add(join(word(s0+sLock, 5<<1|1), word(s0+sSequence, 7)))                                      // in the middle of applying
	f.Add(join(word(s0+sLock, 5<<1), word(s0+sJournal, 1), word(s0+sJournal+1, 0)))                 // a journal for the header
	f.Add(join(word(s0+sLock, 5<<1), word(s0+sJournal, 1), word(s0+sJournal+1, ^uint64(0))))        // and for nowhere
	f.Add(join(word(s0+sLock, 5<<1), word(s0+sJournal, 1<<63), word(s0+sJournal+1, uint64(s0))))    // too long
	f.Add(join(word(s0+sFree, 1<<40), word(s0+sFreeCount, 1<<50)))                                  // a free list to nowhere
	f.Add(join(word(s0+sFree, 1), word(s0+sFreeCount, 100)))                                        // into an entry
	f.Add(join(word(s0+sFresh, ^uint64(0)), word(s0+sForeign, 1<<40), word(s0+sEntries, 1<<60)))    // figures
	f.Add(join(word(index, 1), word(index+1, 1), word(index+2, 1<<33)))                             // rings, shared chains
	f.Add(join(word(s0+sEarliest, 1), word(s0+sSweepHand, 1<<62), word(s0+sEvictHand, ^uint64(0)))) // hands
	f.Add(join(word(offShards+2*shardWords+1, 99<<40|3), word(offShards+2*shardWords+2, 1<<39)))    // inboxes
	f.Fuzz(func(t *testing.T, data []byte) {
		const blocks = 40
		words := offShards + 2*shardWords + 4 + 2*blockWords + 2*blocks*(2*blockWords+1)/2 + 64
		s := shm.Private(magic, words*8)
		if err := format(s, Config{}, 2); err != nil {
			t.Fatal(err)
		}
		m := memory(s.Words())
		m.put(hKey0, 1)
		m.put(hKey1, 2)
		e := fuzzView(t, s, 5)
		ctx := context.Background()
		for i, key := range []string{"a", "b", "c", "d", "counter"} {
			if _, err := e.Set(ctx, key, make([]byte, 150*i), Write{}); err != nil {
				t.Fatal(err)
			}
		}
		for ; len(data) >= 10; data = data[10:] {
			at := offShards + int(binary.LittleEndian.Uint16(data))
			if at < len(m) {
				m.put(at, binary.LittleEndian.Uint64(data[2:]))
			}
		}
		size, shards, key := m.get(hSize), m.get(hShards), m.get(hKey0)
		o := fuzzView(t, s, 6)
		for sh := range 2 {
			if m.get(shard(sh)+sLock)>>1 == o.id {
				return // its own lock is nobody's to take
			}
			if err := o.lock(sh); err != nil {
				t.Fatalf("shard %d: %v", sh, err)
			}
			o.unlock(sh)
		}
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			_, _, err := o.Get(ctx, key)
			known(t, err)
			_, err = o.Set(ctx, key, make([]byte, 300), Write{TTL: 1 << 40})
			known(t, err)
			_, err = o.Touch(ctx, key, 1)
			known(t, err)
			_, err = o.Delete(ctx, key, 0)
			known(t, err)
		}
		_, err := o.Add(ctx, "counter", 1)
		known(t, err)
		if token, ok, err := o.TryLock(ctx, "lock", 0); ok {
			known(t, o.Unlock(ctx, token))
		} else {
			known(t, err)
		}
		_, _, err = o.Scan(ctx, 0, 100)
		known(t, err)
		_, err = o.Check(ctx)
		known(t, err)
		_, err = o.Stats(ctx)
		known(t, err)
		if m.get(hSize) != size || m.get(hShards) != shards || m.get(hKey0) != key {
			t.Error("the header was written to")
		}
	})
}

func known(t *testing.T, err error) {
	t.Helper()
	for _, target := range []error{nil, ErrCorrupt, ErrFull, ErrNotNumber, ErrRange, ErrFenced} {
		if errors.Is(err, target) {
			return
		}
	}
	t.Error(err)
}

// fuzzView is a process in whose world all others are dead.
func fuzzView(t *testing.T, s *shm.Segment, id uint64) *Embedded {
	e, err := newEmbedded(s)
	if err != nil {
		t.Fatal(err)
	}
	e.identify(id)
	e.patience = 0
	e.alive = func(other uint64) bool { return other == id }
	return e
}
