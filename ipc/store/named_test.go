package store

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// A lock and a semaphore of one name have nothing to do with each other.
func TestLockAndSemaphoreOfOneNameDoNotWaitForEachOther(t *testing.T) {
	e := of(t, 1, MinSize, EvictLRU)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lock, err := e.Lock(ctx, "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	place, err := e.Acquire(ctx, "name", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	other := make(chan error, 1)
	go func() {
		_, err := e.Lock(ctx, "name", 0)
		other <- err
	}()
	for e.m.get(shard(0)+sWaiting) == 0 { // until the other waits in the kernel
		if ctx.Err() != nil {
			t.Fatal("nobody waits")
		}
		runtime.Gosched()
	}
	if err := e.Unlock(ctx, place); err != nil {
		t.Fatal(err)
	}
	// Taken again while it is held, so that this one waits too.
	held, err := e.Acquire(ctx, "name", 1, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	soon, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if _, err := e.Acquire(soon, "name", 1, 0); err != nil {
		t.Errorf("the place is free since %v's time is over: %v", held, err)
	}
	if err := e.Unlock(ctx, lock); err != nil {
		t.Error(err)
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
}

func TestScanOfNothingGoesOn(t *testing.T) {
	e, ctx := of(t, 1, MinSize, EvictLRU), context.Background()
	if _, err := e.Set(ctx, "key", nil, Write{}); err != nil {
		t.Fatal(err)
	}
	found := 0
	for cursor := uint64(0); ; {
		keys, next, err := e.Scan(ctx, cursor, 0)
		if err != nil {
			t.Fatal(err)
		}
		found += len(keys)
		if next == 0 {
			break
		}
		if next <= cursor {
			t.Fatalf("cursor %d is followed by %d", cursor, next)
		}
		cursor = next
	}
	if found != 1 {
		t.Errorf("%d keys, want 1", found)
	}
}
