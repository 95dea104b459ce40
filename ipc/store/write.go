package store

// noteExpiry keeps the bounds of the shard's expiries below a new one. They
// are no part of a change: too low costs a look.
func (e *Embedded) noteExpiry(sh int, until int64) {
	if until == 0 {
		return
	}
	for _, word := range [...]int{shard(sh) + sEarliest, shard(sh) + sSweepMin} {
		if have := int64(e.m.get(word)); have == 0 || have > until {
			e.m.put(word, uint64(until))
		}
	}
}

// write puts a new entry in the place of the old one, in blocks that were
// free, and frees those of the old.
func (e *Embedded) write(sh int, c *change, at place, st *stored, now int64) (need int, err error) {
	n := blocksOf(len(c.key), len(c.value))
	if e.available(sh) < n {
		e.collect(sh)
		if e.available(sh) < n {
			return n, nil
		}
	}
	until := c.until
	if c.kind == kindSemaphore {
		until = 0 // each of its places has its own
	}
	s := shard(sh)
	c.version = e.m.get(s+sVersion) + 1
	r := record{hash: c.hash, kind: c.kind, value: c.value, version: c.version, expiry: until, chain: at.after}
	sp, ok := e.supply(sh, n)
	if !ok || !e.fill(&sp, &r, c.key, now) {
		// What is damaged is the list, and not the entry that is to be replaced.
		e.dropFree(sh)
		if e.available(sh) < n {
			return n, nil
		}
		if sp, ok = e.supply(sh, n); !ok || !e.fill(&sp, &r, c.key, now) {
			return n, nil
		}
	}
	e.noteExpiry(sh, until)
	var j journal
	blocks := e.m.get(s+sInEntries) + uint64(n)
	if at.block != 0 {
		m := blocksOf(st.key, st.value)
		last, ok := e.tail(at.block, m)
		if !ok {
			return 0, ErrCorrupt
		}
		j.set(e.g.block(last)+bNext, sp.free)
		sp.free, sp.count = at.block, sp.count+uint64(m)
		blocks -= uint64(m)
	} else {
		count := s + counter(c.kind)
		j.set(count, e.m.get(count)+1)
	}
	j.set(at.link, sp.head)
	j.set(s+sVersion, c.version)
	for _, figure := range [...]struct {
		word  int
		value uint64
	}{{sFree, sp.free}, {sFreeCount, sp.count}, {sFresh, sp.used}, {sInEntries, blocks}} {
		if e.m.get(s+figure.word) != figure.value { // an entry of the same length changes one of them
			j.set(s+figure.word, figure.value)
		}
	}
	e.commit(sh, &j)
	return 0, nil
}

// counter gives the word of a shard that counts the entries of a kind.
func counter(kind uint8) int {
	if kind == kindValue {
		return sEntries
	}
	return sNamed
}

// unlink takes an entry out and frees its blocks.
func (e *Embedded) unlink(sh int, at place, st *stored) error {
	m := blocksOf(st.key, st.value)
	last, ok := e.tail(at.block, m)
	if !ok {
		return ErrCorrupt
	}
	s := shard(sh)
	var j journal
	j.set(at.link, at.after)
	j.set(e.g.block(last)+bNext, e.m.get(s+sFree))
	j.set(s+sFree, at.block)
	j.set(s+sFreeCount, e.m.get(s+sFreeCount)+uint64(m))
	j.set(s+sInEntries, e.m.get(s+sInEntries)-uint64(m))
	count := s + counter(st.kind)
	j.set(count, e.m.get(count)-1)
	e.commit(sh, &j)
	return nil
}

// dropFree gives up a free list that leads nowhere.
func (e *Embedded) dropFree(sh int) {
	e.count(cQuarantined)
	var j journal
	j.set(shard(sh)+sFree, 0)
	j.set(shard(sh)+sFreeCount, 0)
	e.commit(sh, &j)
}
