package store

import (
	"context"
	"fmt"
)

// Counters of a stripe, in words. A process adds to the stripe of its id, so
// that processes seldom write to one line.
const (
	cHits = iota
	cMisses
	cSets
	cDeletes
	cConflicts
	cExpired
	cEvicted
	cFull
	cBusy
	cRepairs
	cQuarantined
	nCounters
)

func (e *Embedded) count(which int) { e.m[e.stripe+which].Add(1) }

// Stats implements Store.
func (e *Embedded) Stats(ctx context.Context) (Stats, error) {
	if err := e.enter(ctx, 0, 0); err != nil {
		return Stats{}, fmt.Errorf("stats: %w", err)
	}
	var sums [nCounters]int64
	for i := range stripes {
		for c := range nCounters {
			sums[c] += int64(e.m.get(offCounters + i*stripeWords + c))
		}
	}
	st := Stats{
		Bytes: int64(e.g.blocks) * blockWords * 8,
		Hits:  sums[cHits], Misses: sums[cMisses], Sets: sums[cSets], Deletes: sums[cDeletes],
		Conflicts: sums[cConflicts], Expired: sums[cExpired], Evicted: sums[cEvicted], Full: sums[cFull],
		Busy: sums[cBusy], Repairs: sums[cRepairs], Quarantined: sums[cQuarantined],
	}
	for sh := range e.g.shards {
		st.Entries += int64(e.m.get(shard(sh) + sEntries))
		st.Locks += int64(e.m.get(shard(sh) + sNamed))
		st.UsedBytes += int64(e.m.get(shard(sh)+sInEntries)) * blockWords * 8
	}
	return st, nil
}
