package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"prefork/ipc/shm"
)

// of makes a store of shards whose only view is the process' own.
func of(t testing.TB, shards int, size int64, full FullPolicy) *Embedded {
	t.Helper()
	s := shm.Private(magic, int(size))
	if err := format(s, Config{Full: full}, shards); err != nil {
		t.Fatal(err)
	}
	e, err := newEmbedded(s)
	if err != nil {
		t.Fatal(err)
	}
	e.identify(1)
	e.alive = func(id uint64) bool { return id == e.id }
	return e
}

func inOrder(t testing.TB, e *Embedded) {
	t.Helper()
	if r, err := e.Check(context.Background()); err != nil || !r.Clean() {
		t.Errorf("%v\n%s", err, r)
	}
}

// fillUp sets entries of one block until there is no room.
func fillUp(t testing.TB, e *Embedded) {
	t.Helper()
	for i := 0; ; i++ {
		_, err := e.Set(context.Background(), fmt.Sprint("small", i), nil, Write{})
		if errors.Is(err, ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.m.get(e.stripe+cEvicted) > 0 {
			return
		}
	}
}

func TestLargestValueMakesManySmallOnesGo(t *testing.T) {
	e := of(t, 2, 8<<20, EvictLRU)
	fillUp(t, e)
	if _, err := e.Set(context.Background(), "large", make([]byte, MaxValue), Write{}); err != nil {
		t.Fatal(err)
	}
	inOrder(t, e)
}

func TestPlacesAreGivenBackAndRenewedInAFullStore(t *testing.T) {
	e, ctx := of(t, 1, MinSize, RefuseFull), context.Background()
	var tokens []Token
	for range 3 {
		token, ok, err := e.TryAcquire(ctx, "places", 3, time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		tokens = append(tokens, token)
	}
	fillUp(t, e)
	if err := e.Renew(ctx, tokens[1], time.Hour); err != nil {
		t.Error(err)
	}
	for _, token := range tokens {
		if err := e.Unlock(ctx, token); err != nil {
			t.Error(err)
		}
		if err := e.Unlock(ctx, token); !errors.Is(err, ErrFenced) {
			t.Errorf("again: %v, want ErrFenced", err)
		}
	}
	inOrder(t, e)
}

// The first attempt finds no room, the second one does.
func TestPlaceInAFullStoreKeepsItsTime(t *testing.T) {
	e, ctx := of(t, 1, MinSize, EvictLRU), context.Background()
	clock := int64(1e9)
	e.now = func() int64 { return clock }
	fillUp(t, e)
	for e.available(0) > 0 {
		if _, err := e.Set(ctx, fmt.Sprint("more", e.available(0)), nil, Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := e.TryAcquire(ctx, "places", 1, time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	clock += int64(2 * time.Minute)
	if _, ok, err := e.TryAcquire(ctx, "places", 1, time.Minute); err != nil || !ok {
		t.Errorf("after its time: %v, %v", ok, err)
	}
}

// A giver that died in the change that sent the blocks, or a taker that died
// before it collected them, leaves them in an inbox.
func TestBlocksInAnInboxAreNoFullStore(t *testing.T) {
	for _, c := range []struct{ shards, needy int }{{2, 1}, {3, 2}} {
		e, ctx := of(t, c.shards, 1<<20, RefuseFull), context.Background()
		// Shard 0 sends shard 1 all that it has; the change is not over.
		if err := e.lock(0); err != nil {
			t.Fatal(err)
		}
		e.send(0, 1, e.g.perShard)
		e.m.put(shard(0)+sLock, 99<<1) // a dead process
		e.m.put(shard(0)+sJournal, 1)
		e.m.put(shard(0)+sJournal+1, uint64(e.g.inbox(0, 1)))
		e.m.put(shard(0)+sJournal+2, e.m.get(e.g.inbox(0, 1)))
		for i, n := 0, 0; n < e.g.blocks; i++ {
			key := fmt.Sprint("key", i)
			if e.g.shardOf(e.hashOf(kindValue, key)) != c.needy {
				continue
			}
			if _, err := e.Set(ctx, key, nil, Write{}); err != nil {
				t.Fatalf("%d shards: entry %d of %d: %v", c.shards, n, e.g.blocks, err)
			}
			n++
		}
		inOrder(t, e)
	}
}

// Names that are never used again would fill the store with locks of the dead.
func TestLocksOfTheDeadMakeRoom(t *testing.T) {
	for _, full := range []FullPolicy{EvictLRU, RefuseFull} {
		e, ctx := of(t, 2, MinSize, full), context.Background()
		mine, err := e.Lock(ctx, "mine", 0)
		if err != nil {
			t.Fatal(err)
		}
		place, err := e.Acquire(ctx, "place", 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.alive = func(id uint64) bool { return id == 1 }
		e.identify(2) // who will have died
		for i := 0; err == nil; i++ {
			if i%2 == 0 {
				_, err = e.Lock(ctx, fmt.Sprint("lock", i), 0)
			} else {
				_, err = e.Acquire(ctx, fmt.Sprint("place", i), 1+i%3, 0)
			}
			if e.m.get(e.stripe+cExpired) > 100 {
				break
			}
		}
		if err != nil {
			t.Errorf("%d: %v", full, err)
		}
		e.identify(1)
		for i := range 500 {
			if _, err := e.Set(ctx, fmt.Sprint("key", i), nil, Write{}); err != nil {
				t.Fatalf("%d: %v", full, err)
			}
		}
		for _, token := range []Token{mine, place} {
			if err := e.Unlock(ctx, token); err != nil {
				t.Errorf("%d: of the living: %v", full, err)
			}
		}
		inOrder(t, e)
	}
}

// A shard whose holder lives and does not let go is no full store.
func TestBusyShardIsNotAFullStore(t *testing.T) {
	e := of(t, 2, MinSize, RefuseFull)
	e.alive = func(uint64) bool { return true }
	e.m.put(shard(0)+sLock, 99<<1)
	for i := 0; ; i++ {
		key := fmt.Sprint("key", i)
		if e.g.shardOf(e.hashOf(kindValue, key)) == 0 {
			continue
		}
		if _, err := e.Set(context.Background(), key, nil, Write{}); err != nil {
			if !errors.Is(err, ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
			return
		}
	}
}
