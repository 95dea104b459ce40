package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"prefork/ipc/store"
)

// TestReadersNeverSeeHalfAValue has writers replace values of many lengths, and
// blocks change owners, while readers check that each value is whole and the
// key's own.
func TestReadersNeverSeeHalfAValue(t *testing.T) {
	g := shared(t, 1<<20)
	const writers, readers, rounds, keys = 3, 3, 1500, 24
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				k := r.IntN(keys)
				key := fmt.Sprint("key", k)
				var err error
				if r.IntN(8) == 0 {
					_, err = g.Delete(ctx, key, 0)
				} else {
					_, err = g.Set(ctx, key, whole(uint64(k), r.IntN(6000)), store.Write{})
				}
				// Busy: a machine that gives a holder no time for 250 ms.
				if err != nil && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	for i := range readers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			var into []byte
			for range rounds {
				k := r.IntN(keys)
				e, found, err := g.GetInto(ctx, fmt.Sprint("key", k), into)
				if err != nil && !errors.Is(err, store.ErrBusy) {
					t.Error(err)
				}
				if found && !bytes.Equal(e.Value, whole(uint64(k), len(e.Value)-16)) {
					t.Errorf("key %d has a value of %d bytes that nobody wrote", k, len(e.Value))
				}
				into = e.Value
			}
		})
	}
	all.Wait()
	if r, err := g.Check(ctx); err != nil || !r.Clean() {
		t.Errorf("%v\n%s", err, r)
	}
}

// whole is a value that its key and length give.
func whole(key uint64, n int) []byte {
	value := binary.LittleEndian.AppendUint64(nil, key)
	value = binary.LittleEndian.AppendUint64(value, uint64(n))
	return append(value, bytes.Repeat([]byte{byte(key*31 + uint64(n))}, max(0, n))...)
}

func TestVersionsHaveOneWinner(t *testing.T) {
	s := shared(t, 1<<20)
	_, err := s.Set(ctx, "n", []byte("0"), store.Write{})
	must(t, err)
	const goroutines, wins = 6, 200
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for won := 0; won < wins; {
				e, _, err := s.Get(ctx, "n")
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				_, _ = fmt.Sscan(string(e.Value), &n)
				_, err = s.Set(ctx, "n", []byte(fmt.Sprint(n+1)), store.Write{If: store.IfVersion, Version: e.Version})
				switch {
				case err == nil:
					won++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if e, _, err := s.Get(ctx, "n"); err != nil || string(e.Value) != fmt.Sprint(goroutines*wins) {
		t.Errorf("%s, %v", e.Value, err)
	}
}

func TestBlocksMoveToTheShardThatNeedsThem(t *testing.T) {
	s := shared(t, 16<<20) // 4 shards of 4 MiB each
	for round := range 3 {
		for i := range 12 {
			if _, err := s.Set(ctx, fmt.Sprint(round, "large", i), make([]byte, store.MaxValue), store.Write{}); err != nil {
				t.Fatalf("round %d: value %d: %v", round, i, err)
			}
		}
		for i := range 12 {
			_, err := s.Delete(ctx, fmt.Sprint(round, "large", i), 0)
			must(t, err)
		}
		if r, err := s.Check(ctx); err != nil || !r.Clean() || r.UsedBlocks != 0 {
			t.Fatalf("round %d: %v\n%s", round, err, r)
		}
	}
}
