package store

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
	e.warm(sh, c.hash)
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
		if round >= maxRounds+need/4 || !room.makeRoom() {
			if room.err != nil {
				return room.err // there may have been room behind that lock
			}
			e.count(cFull)
			return ErrFull
		}
	}
}

// maxRounds bounds how often a writer loses the room that was made for it to
// others. A round may find a few blocks only, so a large entry is given more of
// them.
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
		need, err = e.write(sh, c, at, &st, now)
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
