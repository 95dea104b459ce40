package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

func TestWarmingLeavesTheStoreAsItIs(t *testing.T) {
	e := of(t, 2, MinSize, EvictLRU)
	var keys [][]byte
	for i := range 100 {
		key := fmt.Sprint("key", i)
		keys = append(keys, []byte(key))
		if i%3 != 0 {
			if _, err := e.Set(context.Background(), key, make([]byte, 40*i), Write{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := words(e.m)
	e.Warm(nil)
	e.Warm(keys[:1])
	e.Warm(keys)
	if !slices.Equal(before, words(e.m)) {
		t.Error("the store has changed")
	}
	if n := testing.AllocsPerRun(10, func() { e.Warm(keys) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
