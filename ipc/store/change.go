package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// verb is what a change does to an entry.
type verb uint8

const (
	verbSet    verb = iota
	verbDelete      // with change.version, when that is not 0
	verbTouch       // with change.version, when that is not 0
	verbAdd
	verbTake  // a lock, or a place of a semaphore
	verbGive  // back
	verbRenew // a lock or a place
)

// change is one mutation of one entry: what is asked for, and what came of it.
type change struct {
	verb  verb
	kind  uint8
	key   []byte
	hash  uint64
	value []byte
	write Write
	delta int64
	token Token
	place int   // which of a semaphore's holders c.until is for, with amend
	until int64 // expiry that write.TTL or a ttl means, of a place with kindSemaphore; 0: never

	found   bool
	version uint64
	sum     int64
	scratch [24]byte
}

// outcome is what a change does after it has seen the entry.
type outcome uint8

const (
	keep outcome = iota
	put
	remove
	retime
	amend
)

// expiry gives the time on the clock that a ttl means, 0 for never.
func expiry(now int64, ttl time.Duration) int64 {
	if ttl == 0 || int64(ttl) > math.MaxInt64-now {
		return 0
	}
	return max(1, now+int64(ttl))
}

// mutate runs a change: in its shard, and with the shard of its token locked
// too when it needs one. A shard that has too few blocks is left, given room,
// and entered again.
func (e *Embedded) mutate(c *change) error {
	sh := e.g.shardOf(c.hash)
	fence := -1
	var fenceHash uint64
	if c.write.Token != (Token{}) {
		fenceHash = e.hashOf(c.write.Token.kind(), c.write.Token.Name)
		fence = e.g.shardOf(fenceHash)
	}
	room := search{e: e, sh: sh}
	for round := 0; ; round++ {
		if err := e.lockBoth(sh, fence); err != nil {
			return err
		}
		need, err := 0, error(nil)
		if fence >= 0 && !e.holds(fence, fenceHash, c.write.Token) {
			err = ErrFenced
		} else {
			need, err = e.apply(sh, c)
		}
		e.unlockBoth(sh, fence)
		if err != nil || need == 0 {
			return err
		}
		room.need = need
		if round >= maxRounds+need/evictStep || !room.makeRoom() {
			if room.err != nil {
				return room.err // there may have been room behind that lock
			}
			e.count(cFull)
			return ErrFull
		}
	}
}

// maxRounds bounds how often a writer loses the room that was made for it to
// others. A round may evict as little as evictStep blocks: a large entry is
// given as many more as it needs of them.
const maxRounds = 200

// lockBoth takes one or two shards, the lower one first, so that two of them
// never wait for each other.
func (e *Embedded) lockBoth(sh, fence int) error {
	if fence < 0 || fence == sh {
		return e.lock(sh)
	}
	first, second := min(sh, fence), max(sh, fence)
	if err := e.lock(first); err != nil {
		return err
	}
	if err := e.lock(second); err != nil {
		e.unlock(first)
		return err
	}
	return nil
}

func (e *Embedded) unlockBoth(sh, fence int) {
	e.unlock(sh)
	if fence >= 0 && fence != sh {
		e.unlock(fence)
	}
}

// apply looks at the entry and does what the change asks for. need: so many
// blocks are wanted and are not there; nothing was changed. Preconditions: the
// lock is held.
func (e *Embedded) apply(sh int, c *change) (need int, err error) {
	now := e.now()
	at, err := e.find(sh, c.hash, c.kind, c.key)
	var st stored
	if err == nil && at.block != 0 {
		var ok bool
		if st, ok = e.stored(at.block); !ok {
			err = ErrCorrupt
		}
	}
	if err != nil {
		e.quarantine(sh, c.hash, c.kind, c.key)
		return 0, err
	}
	live := at.block != 0 && !st.expired(now)
	c.found = live
	what, err := e.decide(sh, c, at, &st, live, now)
	switch {
	case err != nil:
	case what == put:
		need, err = e.write(sh, c, at, &st)
	case what == remove && at.block != 0:
		err = e.unlink(sh, at, &st)
	case what == retime:
		// One word: it needs no journal. A reader that meets it sees the old
		// expiry or the new one.
		e.noteExpiry(sh, c.until)
		e.m.put(e.g.block(at.block)+bExpiry, uint64(c.until))
	case what == amend:
		err = e.amend(sh, c, at, &st)
	}
	if err == ErrCorrupt {
		e.quarantine(sh, c.hash, c.kind, c.key)
	}
	return need, err
}

// decide says what a change does to the entry that is there, and makes the
// value that it writes.
func (e *Embedded) decide(sh int, c *change, at place, st *stored, live bool, now int64) (outcome, error) {
	switch c.verb {
	case verbSet:
		w := &c.write
		if w.If == IfAbsent && live || w.If == IfPresent && !live || w.If == IfVersion && (!live || st.version != w.Version) {
			return keep, ErrConflict
		}
		switch {
		case w.KeepTTL && live:
			c.until = st.expiry
		case w.KeepTTL:
			c.until = 0
		case w.TTL < 0:
			return remove, nil
		default:
			c.until = expiry(now, w.TTL)
		}
		return put, nil
	case verbDelete:
		if c.version != 0 && live && st.version != c.version {
			return keep, ErrConflict
		}
		return remove, nil
	case verbTouch:
		if !live {
			return keep, nil
		}
		if c.write.TTL < 0 {
			return remove, nil
		}
		c.until = expiry(now, c.write.TTL)
		return retime, nil
	case verbAdd:
		return e.decideAdd(c, at, st, live)
	}
	return e.decideNamed(sh, c, at, st, live, now)
}

func (e *Embedded) decideAdd(c *change, at place, st *stored, live bool) (outcome, error) {
	have := int64(0)
	c.until = 0
	if live {
		text, ok := e.content(at.block, st, c.scratch[:0])
		if !ok {
			return keep, ErrCorrupt
		}
		n, err := strconv.ParseInt(string(text), 10, 64)
		var digits [20]byte
		if err != nil || !bytes.Equal(strconv.AppendInt(digits[:0], n, 10), text) { // "+1" and "01" are no numbers to Redis either
			return keep, ErrNotNumber
		}
		have, c.until = n, st.expiry
	}
	if c.delta > 0 && have > math.MaxInt64-c.delta || c.delta < 0 && have < math.MinInt64-c.delta {
		return keep, ErrRange
	}
	c.sum = have + c.delta
	c.value = strconv.AppendInt(c.scratch[:0], c.sum, 10)
	return put, nil
}

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
func (e *Embedded) write(sh int, c *change, at place, st *stored) (need int, err error) {
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
	sp, ok := e.supply(sh, n)
	if !ok || !e.fill(&sp, &record{
		hash: c.hash, kind: c.kind, value: c.value, version: c.version, expiry: until, chain: at.after,
	}, c.key) {
		e.dropFree(sh)
		return 0, ErrCorrupt
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
	j.set(s+sFree, sp.free)
	j.set(s+sFreeCount, sp.count)
	j.set(s+sFresh, sp.used)
	j.set(s+sVersion, c.version)
	j.set(s+sInEntries, blocks)
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

// holds says whether a token holds its lock or place. Preconditions: the lock
// of its shard is held.
func (e *Embedded) holds(sh int, hash uint64, t Token) bool {
	at, err := e.find(sh, hash, t.kind(), []byte(t.Name))
	if err != nil || at.block == 0 {
		return false
	}
	st, ok := e.stored(at.block)
	now := e.now()
	if !ok || st.expired(now) {
		return false
	}
	if t.Places == 0 {
		return st.version == t.Number
	}
	list, ok := e.content(at.block, &st, nil)
	if !ok {
		return false
	}
	for ; len(list) >= placeSize; list = list[placeSize:] {
		p := placeOf(list)
		if p.number == t.Number {
			return p.until == 0 || p.until > now
		}
	}
	return false
}

// holder is one entry in a semaphore's value: placeSize bytes.
type holder struct {
	id, number uint64
	until      int64
}

const placeSize = 24

func placeOf(b []byte) holder {
	return holder{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), int64(binary.LittleEndian.Uint64(b[16:]))}
}

func (h holder) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint64(to, h.id)
	to = binary.LittleEndian.AppendUint64(to, h.number)
	return binary.LittleEndian.AppendUint64(to, uint64(h.until))
}
