package store

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// spoil sets a bit in the link in the middle of an entry.
func spoil(t *testing.T, e *Embedded, key string) {
	t.Helper()
	at, err := e.find(0, e.hashOf(kindValue, key), kindValue, []byte(key))
	if err != nil || at.block == 0 {
		t.Fatalf("%q: %+v, %v", key, at, err)
	}
	second := e.m.get(e.g.block(at.block) + bNext)
	link := e.g.block(second) + bNext
	e.m.put(link, e.m.get(link)^1<<40)
}

func TestDamagedLinkInAnEntryHurtsThatEntryAlone(t *testing.T) {
	e, ctx := of(t, 1, 1<<20, RefuseFull), context.Background()
	value := bytes.Repeat([]byte{7}, 2000)
	for i := range 100 {
		if _, err := e.Set(ctx, fmt.Sprint("old", i), value, Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Set(ctx, "victim", value, Write{}); err != nil {
		t.Fatal(err)
	}
	for e.available(0) > 0 { // what is freed from here on is a list, and no fresh range
		if _, err := e.Set(ctx, fmt.Sprint("fill", e.available(0)), nil, Write{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if _, err := e.Delete(ctx, fmt.Sprint("old", i), 0); err != nil {
			t.Fatal(err)
		}
	}
	before := e.available(0)
	spoil(t, e, "victim")
	if _, err := e.Delete(ctx, "victim", 0); err == nil {
		t.Error("nobody is told of the damage")
	}
	if now := e.available(0); now != before {
		t.Errorf("%d blocks are free, %d were", now, before)
	}
	for i := range 80 {
		if _, err := e.Set(ctx, fmt.Sprint("innocent", i), value, Write{}); err != nil {
			t.Fatalf("set of another key: %v; %d blocks are free", err, e.available(0))
		}
	}
}

func TestWriteIntoADamagedFreeListLeavesTheOldValue(t *testing.T) {
	e, ctx := of(t, 1, 1<<20, RefuseFull), context.Background()
	for key, size := range map[string]int{"innocent": 5, "gone": 2000} {
		if _, err := e.Set(ctx, key, make([]byte, size), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Delete(ctx, "gone", 0); err != nil {
		t.Fatal(err)
	}
	second := e.m.get(e.g.block(e.m.get(shard(0)+sFree)) + bNext)
	e.m.put(e.g.block(second)+bNext, 1<<40)
	// The list is given up, and the write takes blocks that were never used.
	if _, err := e.Set(ctx, "innocent", make([]byte, 1500), Write{}); err != nil {
		t.Error(err)
	}
	if got, found, err := e.Get(ctx, "innocent"); !found || err != nil || len(got.Value) != 1500 {
		t.Errorf("%d bytes, %v, %v", len(got.Value), found, err)
	}
}
