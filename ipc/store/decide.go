package store

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

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
