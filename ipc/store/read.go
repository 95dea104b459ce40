package store

import "time"

// glances is how often a reader looks without the lock: a writer that gets in
// between each time is met by waiting for it.
const glances = 8

// look reads an entry, without a lock when it can: what it copied is one
// state of the shard when the sequence was even before and is the same after.
// The words of other entries that it may see meanwhile are checked like
// anything that another process wrote. The entry counts as used, if use says so.
func (e *Embedded) look(hash uint64, kind uint8, key, into []byte, use bool) (Entry, bool, error) {
	sh := e.g.shardOf(hash)
	sequence := &e.m[shard(sh)+sSequence]
	for range glances {
		before := sequence.Load()
		if before&1 != 0 {
			continue
		}
		entry, found, ok := e.glance(sh, hash, kind, key, into, use)
		if sequence.Load() == before {
			if ok {
				return entry, found, nil
			}
			break // damaged, and not by a writer
		}
		if entry.Value != nil {
			into = entry.Value
		}
	}
	if err := e.lock(sh); err != nil {
		return Entry{}, false, err
	}
	defer e.unlock(sh)
	entry, found, ok := e.glance(sh, hash, kind, key, into, use)
	if !ok {
		e.quarantine(sh, hash, kind, key)
		return Entry{}, false, ErrCorrupt
	}
	return entry, found, nil
}

// glance copies an entry. Not ok: what it met is no entry.
func (e *Embedded) glance(sh int, hash uint64, kind uint8, key, into []byte, use bool) (entry Entry, found, ok bool) {
	at, err := e.find(sh, hash, kind, key)
	if err != nil {
		return Entry{}, false, false
	}
	if at.block == 0 {
		return Entry{}, false, true
	}
	st, ok := e.stored(at.block)
	if !ok || st.key != len(key) {
		return Entry{}, false, false
	}
	if st.expiry != 0 {
		now := e.now()
		if st.expiry <= now {
			return Entry{}, false, true
		}
		entry.TTL = time.Duration(st.expiry - now)
	}
	if entry.Value, ok = e.content(at.block, &st, into); !ok {
		return entry, false, false
	}
	entry.Version = st.version
	// Once a millisecond is enough for an order of use, and leaves the line
	// to the other readers.
	if used := &e.m[e.g.block(at.block)+bUsed]; use {
		if now := uint64(e.now()) / 1e6; used.Load() != now {
			used.Store(now)
		}
	}
	return entry, true, true
}

// quarantine takes what is damaged out of a bucket: one entry, when its link
// onwards is good, else all from the bad link on. Their blocks are in no list
// any more; Check counts them. Preconditions: the lock is held.
func (e *Embedded) quarantine(sh int, hash uint64, kind uint8, key []byte) {
	e.count(cQuarantined)
	at, err := e.find(sh, hash, kind, key)
	var j journal
	switch {
	case err != nil:
		j.set(at.link, 0)
	case at.block == 0:
		return
	case at.after != 0 && !e.g.valid(at.after):
		j.set(at.link, 0)
	default:
		j.set(at.link, at.after)
	}
	e.commit(sh, &j)
}
