package store

import "encoding/binary"

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

func (e *Embedded) decidePlace(sh int, c *change, at place, st *stored, live bool, now int64) (outcome, error) {
	var list []byte
	if live {
		var ok bool
		if list, ok = e.content(at.block, st, nil); !ok || len(list)%placeSize != 0 {
			return keep, ErrCorrupt
		}
	}
	value := make([]byte, 0, len(list)+placeSize)
	count, mine := 0, false
	for i := 0; len(list) > 0; i, list = i+1, list[placeSize:] {
		p := placeOf(list)
		if p.until != 0 && p.until <= now || !e.alive(p.id) {
			continue
		}
		if c.verb != verbTake && p.number == c.token.Number {
			mine, c.place = true, i
			if c.verb == verbGive {
				continue
			}
		}
		value = p.append(value)
		count++
	}
	switch {
	case c.verb == verbTake && count >= c.token.Places:
		return keep, errHeld
	case c.verb == verbTake:
		c.value = holder{e.id, e.m.get(shard(sh)+sVersion) + 1, c.until}.append(value)
		return put, nil
	case !mine:
		return keep, ErrFenced
	case len(value) == 0:
		return remove, nil
	case c.verb == verbGive:
		c.until = over
	}
	return amend, nil
}

// over is the expiry of a place that was given back.
const over = 1

// amend gives one of a semaphore's holders another expiry, where it stands: to
// give a place back or to renew it must not fail because the store is full.
func (e *Embedded) amend(sh int, c *change, at place, st *stored) error {
	list, ok := e.content(at.block, st, nil)
	if !ok || len(list) < (c.place+1)*placeSize {
		return ErrCorrupt
	}
	expiry := list[(c.place+1)*placeSize-8:]
	binary.LittleEndian.PutUint64(expiry, uint64(c.until))
	head := e.g.block(at.block)
	word := cursor{base: head, at: head + bPayload, end: head + blockWords}
	if !word.skip(e, wordsOf(st.key)+wordsOf(len(list)-len(expiry))) || !word.next(e) {
		return ErrCorrupt
	}
	var j journal
	j.set(word.at, uint64(c.until))
	j.set(head+bCRC, checksum(list, uint32(st.sum)))
	e.commit(sh, &j)
	return nil
}

// abandoned says that nobody alive holds a lock, or any place of a semaphore.
// Preconditions: the lock of its shard is held.
func (e *Embedded) abandoned(b uint64, st *stored) bool {
	value, ok := e.content(b, st, nil)
	if !ok {
		return false
	}
	if st.kind == kindLock {
		return len(value) == 8 && !e.alive(binary.LittleEndian.Uint64(value))
	}
	now := e.now()
	for ; len(value) >= placeSize; value = value[placeSize:] {
		if p := placeOf(value); (p.until == 0 || p.until > now) && e.alive(p.id) {
			return false
		}
	}
	return true
}
