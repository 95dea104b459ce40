package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// TestScribblingWhileOthersWorkIsAnErrorAtWorst has somebody write into the
// shards, links and blocks while operations are under way, so that what an
// operation checked is another thing when it is used.
func TestScribblingWhileOthersWorkIsAnErrorAtWorst(t *testing.T) {
	length := time.Second
	if os.Getenv("PREFORK_TEST_FULL") == "1" {
		length = time.Minute
	}
	e := of(t, 4, MinSize*2, EvictLRU)
	e.patience = 0
	ctx, end := context.WithTimeout(context.Background(), length)
	defer end()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				at := offShards + rand.IntN(e.g.inboxes+16-offShards)
				if n%2 == 0 {
					at = offShards + rand.IntN(len(e.m)-offShards)
				}
				value := []uint64{0, 1, rand.Uint64N(uint64(e.g.blocks) + 2), rand.Uint64(), 1 << 63, ^uint64(0), rand.Uint64N(8) << inboxShift, uint64(at)}[rand.IntN(8)]
				if at < e.g.inboxes && (at-offShards)%shardWords == sLock {
					value = 0 // a living holder's id would be waited for
				}
				e.m[at].Store(value)
			}
		})
	}
	deadline := time.AfterFunc(length+time.Minute, func() { panic("an operation does not end") })
	defer deadline.Stop()
	for w := range 3 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(w)))
			for ctx.Err() == nil {
				key := fmt.Sprint("key", r.IntN(200))
				e.Warm([][]byte{[]byte(key), []byte("nothing"), nil})
				_, _, _ = e.Get(ctx, key)
				_, _ = e.Set(ctx, key, make([]byte, r.IntN(3000)), Write{TTL: time.Duration(r.IntN(1e6))})
				_, _ = e.Touch(ctx, key, time.Second)
				_, _ = e.Add(ctx, key, 1)
				_, _ = e.Delete(ctx, fmt.Sprint("key", r.IntN(200)), 0)
				if lock, ok, err := e.TryLock(ctx, key, time.Second); ok && err == nil {
					_, _ = e.Set(ctx, key, nil, Write{Token: lock})
					_ = e.Unlock(ctx, lock)
				}
				if place, ok, err := e.TryAcquire(ctx, key, 3, time.Second); ok && err == nil {
					_ = e.Renew(ctx, place, time.Minute)
					_ = e.Unlock(ctx, place)
				}
				_, _, _ = e.Scan(ctx, r.Uint64N(1000), 50)
				if r.IntN(50) == 0 {
					_, _ = e.Check(ctx)
				}
			}
		})
	}
	all.Wait()
}
