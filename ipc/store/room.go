package store

import "iter"

// Work that is done under a lock in one go, so that others never wait long.
const (
	sweepStep   = 256 // buckets that a sweep looks at
	evictStep   = 32  // entries that an eviction removes
	turns       = 16  // shards that do so for a large entry before what they gave is fetched
	sample      = 8   // entries of which the one least recently used goes
	gatherEvery = 1e6 // nanoseconds until a full store looks again where it found nothing: at what the others have free, if it can evict instead, and into their inboxes
	reapEvery   = 1e9 // nanoseconds until a store that refuses looks for locks of the dead again, when it found none
)

// search looks for free blocks for one shard, in the others too. No lock is
// held between its steps.
type search struct {
	e        *Embedded
	sh, need int
	turn     int                    // the shard that is the next to give up entries, counted from sh
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
	e := r.e
	if r.sweepAll(r.sh) {
		return true
	}
	now := e.now()
	if e.full == EvictLRU && now < e.gatherAfter.Load() && r.evictSome() {
		return true
	}
	if r.gather() > 0 {
		return true
	}
	// Of the others too: their expired entries go before any that live.
	for from := range r.others() {
		if r.sweepAll(from) && r.gather() > 0 {
			return true
		}
	}
	e.gatherAfter.Store(now + gatherEvery)
	if e.full != EvictLRU {
		if now >= e.collectAfter.Load() {
			r.collectAll()
			e.collectAfter.Store(now + gatherEvery)
			if r.gather() > 0 {
				return true
			}
		}
		if now < e.reapAfter.Load() {
			return false
		}
	}
	if r.evictSome() {
		return true
	}
	e.reapAfter.Store(e.now() + reapEvery)
	return false
}

// evictSome has a shard give up entries: the one that needs the room, if it has
// any to give. For what is large beside a shard some of all of them do in turn:
// it would empty a single one, of what is used most too.
func (r *search) evictSome() bool {
	e := r.e
	more := 1
	if r.need > e.g.perShard/8 {
		more = turns
	} else {
		r.turn = 0
	}
	done := false
	for range e.g.shards {
		from := (r.sh + r.turn) % e.g.shards
		r.turn++
		if !r.evict(from) {
			continue
		}
		done = true
		if more--; more == 0 {
			break
		}
	}
	if done {
		r.gather() // nothing: its own gave, or others were quicker, and there may be more
	}
	return done
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
			if e.unlink(sh, place{link, b, e.m.get(next)}, &st) != nil {
				e.cut(sh, link)
				return removed
			}
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

// evict removes entries of a shard until enough blocks are free, a few at a
// time. False: it has none that may go. Locks and semaphores of the living stay.
func (r *search) evict(sh int) bool {
	e := r.e
	if e.full != EvictLRU && e.m.get(shard(sh)+sNamed) == 0 || !r.lock(sh) {
		return false
	}
	defer e.unlock(sh)
	if e.available(sh) >= r.need {
		return true // somebody else made room since
	}
	removed := 0
	for removed < evictStep && e.available(sh) < r.need {
		at, st, ok := e.leastUsed(sh)
		if !ok || e.unlink(sh, at, &st) != nil {
			break
		}
		if st.kind == kindValue {
			e.count(cEvicted)
		} else {
			e.count(cExpired)
		}
		removed++
	}
	return removed > 0
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
