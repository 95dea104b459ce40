package store

import "iter"

// Work that is done under a lock in one go, so that others never wait long.
const (
	sweepStep   = 256 // buckets that a sweep looks at
	evictStep   = 32  // entries that an eviction removes
	sample      = 8   // entries of which the one least recently used goes
	gatherEvery = 1e6 // nanoseconds until a store that evicts asks the other shards for free blocks again, when they had none
	reapEvery   = 1e9 // nanoseconds until a store that refuses looks for locks of the dead again, when it found none
)

// search looks for free blocks for one shard, in the others too. No lock is
// held between its steps.
type search struct {
	e        *Embedded
	sh, need int
	busy     [maxShards / 64]uint64 // shards whose lock was not to be had: each is waited for once
	err      error                  // why not
}

func (r *search) lock(sh int) bool {
	bit := uint64(1) << (sh % 64)
	if r.busy[sh/64]&bit != 0 {
		return false
	}
	if err := r.e.lock(sh); err != nil {
		r.busy[sh/64] |= bit
		r.err = err
		return false
	}
	return true
}

// makeRoom finds blocks: expired entries go first, here and elsewhere, then
// others give what they have free, then, if the store may, entries go that were
// not used for the longest time, and in any case locks that dead processes
// held. False: there is nothing to be had.
func (r *search) makeRoom() bool {
	if r.sweepAll(r.sh) {
		return true
	}
	now := r.e.now()
	if r.e.full == EvictLRU && now < r.e.gatherAfter.Load() && r.evict(r.sh) > 0 {
		return true
	}
	if r.gather() > 0 {
		return true
	}
	r.e.gatherAfter.Store(now + gatherEvery)
	// Of the others too: their expired entries go before any that live.
	for from := range r.others() {
		if r.sweepAll(from) && r.gather() > 0 {
			return true
		}
	}
	if r.e.full != EvictLRU {
		r.collectAll()
		if r.gather() > 0 {
			return true
		}
		if r.e.now() < r.e.reapAfter.Load() {
			return false
		}
	}
	if r.evict(r.sh) > 0 {
		return true
	}
	for from := range r.others() {
		if r.evict(from) > 0 {
			return r.gather() > 0
		}
	}
	r.e.reapAfter.Store(r.e.now() + reapEvery)
	return false
}

// others gives the other shards, those that follow first.
func (r *search) others() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 1; i < r.e.g.shards; i++ {
			if !yield((r.sh + i) % r.e.g.shards) {
				return
			}
		}
	}
}

// sweepAll removes a shard's expired entries until enough blocks are free, or
// none is left.
func (r *search) sweepAll(sh int) (freed bool) {
	e := r.e
	for range 2 * (e.g.buckets/sweepStep + 1) {
		if !e.due(sh) || !r.lock(sh) {
			return freed
		}
		freed = e.sweep(sh, sweepStep) > 0 || freed
		enough := e.available(sh) >= r.need
		e.unlock(sh)
		if enough {
			return true
		}
	}
	return freed
}

// due says whether something of a shard may have expired.
func (e *Embedded) due(sh int) bool {
	earliest := int64(e.m.get(shard(sh) + sEarliest))
	return earliest != 0 && earliest <= e.now()
}

// sweep removes the expired entries of the next buckets. When the hand comes
// round, the earliest expiry that it met is the shard's. Preconditions: the
// lock is held.
func (e *Embedded) sweep(sh, buckets int) (removed int) {
	s := shard(sh)
	now := e.now()
	hand := int(min(e.m.get(s+sSweepHand), uint64(e.g.buckets)))
	for ; buckets > 0 && hand < e.g.buckets; buckets-- {
		removed += e.sweepBucket(sh, e.g.index+sh*e.g.buckets+hand, now)
		hand++
	}
	if hand < e.g.buckets {
		e.m.put(s+sSweepHand, uint64(hand))
		return removed
	}
	// In this order: killed in between, it leaves bounds that are too low. The
	// hand in the middle with no bound would have the next round forget the
	// buckets before it.
	e.m.put(s+sEarliest, e.m.get(s+sSweepMin))
	e.m.put(s+sSweepHand, 0)
	e.m.put(s+sSweepMin, 0)
	return removed
}

func (e *Embedded) sweepBucket(sh, link int, now int64) (removed int) {
	for range maxHops {
		b := e.m.get(link)
		if b == 0 {
			return removed
		}
		st, ok := stored{}, e.g.valid(b)
		if ok {
			st, ok = e.stored(b)
		}
		if !ok {
			e.cut(sh, link)
			return removed
		}
		next := e.g.block(b) + bChain
		switch {
		case st.expiry == 0:
		case st.expired(now):
			e.unlink(sh, place{link, b, e.m.get(next)}, &st)
			e.count(cExpired)
			removed++
			continue // link has the next one now
		default:
			if word := shard(sh) + sSweepMin; e.m.get(word) == 0 || int64(e.m.get(word)) > st.expiry {
				e.m.put(word, uint64(st.expiry))
			}
		}
		link = next
	}
	return removed
}

// cut ends a bucket at a link that leads nowhere.
func (e *Embedded) cut(sh, link int) {
	e.count(cQuarantined)
	var j journal
	j.set(link, 0)
	e.commit(sh, &j)
}

// evict removes entries of a shard until enough blocks are free, and gives how
// many it removed. Locks and semaphores of the living stay.
func (r *search) evict(sh int) (removed int) {
	e := r.e
	if e.full != EvictLRU && e.m.get(shard(sh)+sNamed) == 0 || !r.lock(sh) {
		return 0
	}
	defer e.unlock(sh)
	for removed < evictStep && e.available(sh) < r.need {
		at, st, ok := e.leastUsed(sh)
		if !ok {
			break
		}
		e.unlink(sh, at, &st)
		if st.kind == kindValue {
			e.count(cEvicted)
		} else {
			e.count(cExpired)
		}
		removed++
	}
	return removed
}

// leastUsed gives the one of the next few entries that was not used for the
// longest time. A lock that nobody alive holds counts as never used; values may
// go only where the store evicts.
func (e *Embedded) leastUsed(sh int) (oldest place, of stored, found bool) {
	s := shard(sh)
	hand := int(e.m.get(s+sEvictHand) % uint64(e.g.buckets))
	least := ^uint64(0)
	seen := 0
	for n := 0; n < e.g.buckets && seen < sample; n++ {
		link := e.g.index + sh*e.g.buckets + hand
		for range maxHops {
			b := e.m.get(link)
			if !e.g.valid(b) {
				if b != 0 {
					e.cut(sh, link)
				}
				break
			}
			st, ok := e.stored(b)
			if !ok {
				e.cut(sh, link)
				break
			}
			head := e.g.block(b)
			used, may := e.m.get(head+bUsed), e.full == EvictLRU
			if st.kind != kindValue {
				used, may = 0, e.abandoned(b, &st)
			}
			if may {
				seen++
				if used < least {
					least, oldest, of, found = used, place{link, b, e.m.get(head + bChain)}, st, true
				}
			}
			link = head + bChain
		}
		hand = (hand + 1) % e.g.buckets
	}
	e.m.put(s+sEvictHand, uint64(hand))
	return oldest, of, found
}
