package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// One shard is full of what lives, the others of what has expired; new keys of
// the first come, two microseconds apart.
func TestExpiredEntriesOfOtherShardsGoBeforeTheLiving(t *testing.T) {
	ctx := context.Background()
	e := of(t, 4, 4<<20, EvictLRU)
	clock := int64(1e12)
	e.now = func() int64 { return clock }
	set := func(sh, i int, ttl time.Duration) bool {
		key := fmt.Sprint("key", sh, "/", i)
		if e.g.shardOf(e.hashOf(kindValue, key)) != sh {
			return false
		}
		if _, err := e.Set(ctx, key, nil, Write{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
		return true
	}
	for sh := range e.g.shards {
		ttl := time.Duration(0)
		if sh > 0 {
			ttl = time.Second
		}
		for i := 0; e.available(sh) > 0; i++ {
			set(sh, i, ttl)
		}
	}
	clock += 2e9
	for i, n := 1_000_000, 0; n < 5000; i++ {
		if set(0, i, 0) {
			n++
			clock += 2000
		}
	}
	if st, err := e.Stats(ctx); err != nil || st.Evicted != 0 || st.Expired == 0 {
		t.Errorf("%d living and %d expired entries went, %v", st.Evicted, st.Expired, err)
	}
}

// Writers take from each other what was freed, of large values and of small
// ones; a store that may evict refuses none of them.
func TestStoreThatEvictsRefusesNobody(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		size         int64
		small, large int // values of a writer
	}{{512 << 10, 10_000, 0}, {1 << 20, 10_000, 0}, {4 << 20, 10_000, 3}} {
		e := Private(Config{Size: c.size})
		var all sync.WaitGroup
		write := func(who string, n, size int) {
			all.Go(func() {
				for i := range n {
					if _, err := e.Set(ctx, fmt.Sprint(who, i), make([]byte, size), Write{}); err != nil {
						t.Errorf("%s: value %d of %d bytes: %v", FormatSize(c.size), i, size, err)
						return
					}
				}
			})
		}
		write("a", c.small, 256)
		write("b", c.small, 256)
		write("c", c.small, 0)
		write("large", c.large, MaxValue)
		all.Wait()
		inOrder(t, e)
	}
}
