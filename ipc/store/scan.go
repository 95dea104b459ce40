package store

import (
	"context"
	"fmt"
)

// Scan implements Store: it goes through the buckets, which an entry never
// changes. It gives whole buckets, so a few keys more than count.
func (e *Embedded) Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error) {
	if err := e.enter(ctx, 0, 0); err != nil {
		return nil, 0, fmt.Errorf("scan: %w", err)
	}
	count = max(1, min(count, 1<<20))
	total := uint64(e.g.shards * e.g.buckets)
	// A store that is nearly empty is not walked through in one call.
	limit := cursor + uint64(count)*64
	for ; cursor < total && len(keys) < count && cursor < limit; cursor++ {
		if keys, err = e.keysOf(int(cursor), keys); err != nil {
			return nil, 0, fmt.Errorf("scan: %w", err)
		}
	}
	if cursor >= total {
		return keys, 0, nil
	}
	return keys, cursor, nil
}

// keysOf appends the keys of one bucket, without the lock when it can.
func (e *Embedded) keysOf(bucket int, keys []string) ([]string, error) {
	sh := bucket / e.g.buckets
	sequence := &e.m[shard(sh)+sSequence]
	for range glances {
		before := sequence.Load()
		if before&1 != 0 {
			continue
		}
		all, ok := e.keysIn(e.g.index+bucket, keys)
		if sequence.Load() == before {
			if ok {
				return all, nil
			}
			break
		}
	}
	if err := e.lock(sh); err != nil {
		return nil, err
	}
	defer e.unlock(sh)
	all, ok := e.keysIn(e.g.index+bucket, keys)
	if !ok {
		e.sweepBucket(sh, e.g.index+bucket, 0) // cuts what leads nowhere
	}
	return all, nil
}

func (e *Embedded) keysIn(link int, keys []string) (all []string, ok bool) {
	now := e.now()
	all = keys
	for range maxHops {
		b := e.m.get(link)
		if b == 0 {
			return all, true
		}
		if !e.g.valid(b) {
			return all, false
		}
		st, ok := e.stored(b)
		if !ok {
			return all, false
		}
		head := e.g.block(b)
		if st.kind == kindValue && !st.expired(now) {
			key := make([]byte, st.key)
			c := cursor{base: head, at: head + bPayload, end: head + blockWords}
			if !c.read(e, key) {
				return all, false
			}
			all = append(all, string(key))
		}
		link = head + bChain
	}
	return all, false
}
