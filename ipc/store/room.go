package store

// Work that is done under a lock in one go, so that others never wait long.
const (
	sweepStep = 256 // buckets that a sweep looks at
	evictStep = 32  // entries that an eviction removes
	sample    = 8   // entries of which the one least recently used goes
	passBy    = 2   // buckets that each write sweeps when something has expired
)

// makeRoom finds blocks for a shard: expired entries go first, here and
// elsewhere, then others give what they have free, then, if the store may,
// entries go that were not used for the longest time. False: there is nothing
// to be had. Preconditions: no lock is held.
func (e *Embedded) makeRoom(sh, need int) bool {
	if e.sweepAll(sh, need) {
		return true
	}
	if e.gather(sh, need) > 0 {
		return true
	}
	// Of the others too: their expired entries go before any that live.
	for i := 1; i < e.g.shards; i++ {
		from := (sh + i) % e.g.shards
		if e.sweepAll(from, need) && e.gather(sh, need) > 0 {
			return true
		}
	}
	if e.full != EvictLRU {
		return false
	}
	for i := range e.g.shards {
		from := (sh + i) % e.g.shards
		if e.evict(from, need) > 0 {
			return from == sh || e.gather(sh, need) > 0
		}
	}
	return false
}

// sweepAll removes a shard's expired entries until need blocks are free, or
// none is left.
func (e *Embedded) sweepAll(sh, need int) (freed bool) {
	for range 2 * (e.g.buckets/sweepStep + 1) {
		if !e.due(sh) || e.lock(sh) != nil {
			return freed
		}
		freed = e.sweep(sh, sweepStep) > 0 || freed
		enough := e.available(sh) >= need
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
	e.m.put(s+sEarliest, e.m.get(s+sSweepMin))
	e.m.put(s+sSweepMin, 0)
	e.m.put(s+sSweepHand, 0)
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

// evict removes entries of a shard until need blocks are free, and gives how
// many it removed. Locks and semaphores stay.
func (e *Embedded) evict(sh, need int) (removed int) {
	if e.lock(sh) != nil {
		return 0
	}
	defer e.unlock(sh)
	for removed < evictStep && e.available(sh) < need {
		at, st, ok := e.leastUsed(sh)
		if !ok || e.unlink(sh, at, &st) != nil {
			break
		}
		e.count(cEvicted)
		removed++
	}
	return removed
}

// leastUsed gives the one of the next few entries that was not used for the
// longest time.
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
			if st.kind == kindValue {
				seen++
				if used := e.m.get(head + bUsed); used < least {
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
