package resp

import (
	"errors"
	"math"
	"time"

	"prefork/ipc/store"
)

// setOptions are those of SET and GETEX.
type setOptions struct {
	nx, xx, get, keep, persist bool
	expiry                     []byte // as it was given; nil: none
	seconds, at                bool
}

// parseSet reads options as Redis does: the same that may not stand together
// may not here.
func (s *server) parseSet(a [][]byte, getex bool) (o setOptions, ok bool) {
	for i := 0; i < len(a); i++ {
		timed := func(seconds, at bool) bool {
			again := o.expiry != nil && (o.seconds != seconds || o.at != at)
			if i+1 == len(a) || o.keep || o.persist || again {
				return false
			}
			i++
			o.expiry, o.seconds, o.at = a[i], seconds, at
			return true
		}
		ok := false
		switch arg := a[i]; {
		case is(arg, "nx"):
			ok, o.nx = !getex && !o.xx, true
		case is(arg, "xx"):
			ok, o.xx = !getex && !o.nx, true
		case is(arg, "get"):
			ok, o.get = !getex, true
		case is(arg, "keepttl"):
			ok, o.keep = !getex && o.expiry == nil, true
		case is(arg, "persist"):
			ok, o.persist = getex && o.expiry == nil, true
		case is(arg, "ex"):
			ok = timed(true, false)
		case is(arg, "px"):
			ok = timed(false, false)
		case is(arg, "exat"):
			ok = timed(true, true)
		case is(arg, "pxat"):
			ok = timed(false, true)
		}
		if !ok {
			s.r.error(errSyntax)
			return o, false
		}
	}
	return o, true
}

// maxTTL is the longest expiry that is kept; a longer one counts as it.
const maxTTL = math.MaxInt64 / 2 * time.Nanosecond // 146 years

// ttl turns an expiry into what the store wants: negative when it is in the
// past. It answers when there is none to be had.
func (s *server) ttl(arg []byte, seconds, at bool, name string) (ttl time.Duration, ok bool) {
	n, ok := s.integer(arg)
	if !ok {
		return 0, false
	}
	now := time.Now().UnixMilli()
	bad := n <= 0 || (seconds && n > math.MaxInt64/1000)
	if seconds && !bad {
		n *= 1000
	}
	if bad || (!at && n > math.MaxInt64-now) {
		s.r.error("ERR invalid expire time in '" + name + "' command")
		return 0, false
	}
	if at {
		return untilMilli(n), true
	}
	return milliseconds(n), true
}

// milliseconds gives a duration, the longest one when it is longer.
func milliseconds(n int64) time.Duration {
	if n > int64(maxTTL/time.Millisecond) {
		return maxTTL
	}
	return time.Duration(n) * time.Millisecond
}

// untilMilli gives the time until a moment of the wall clock, which is never 0:
// that would mean for ever.
func untilMilli(n int64) time.Duration {
	now := time.Now()
	if n-now.UnixMilli() > int64(maxTTL/time.Millisecond) {
		return maxTTL
	}
	if n < now.UnixMilli() {
		return -1
	}
	if d := time.UnixMilli(n).Sub(now); d != 0 {
		return d
	}
	return -1
}

func (s *server) set(_ *client, a [][]byte) {
	if len(a) == 3 {
		s.put(a[1], a[2], store.Write{}, false, setOK)
		return
	}
	o, ok := s.parseSet(a[3:], false)
	if !ok {
		return
	}
	w := store.Write{KeepTTL: o.keep}
	if o.expiry != nil {
		if w.TTL, ok = s.ttl(o.expiry, o.seconds, o.at, "set"); !ok {
			return
		}
	}
	switch {
	case o.nx:
		w.If = store.IfAbsent
	case o.xx:
		w.If = store.IfPresent
	}
	s.put(a[1], a[2], w, o.get, setOK)
}

func (s *server) setnx(_ *client, a [][]byte) {
	s.put(a[1], a[2], store.Write{If: store.IfAbsent}, false, setInt)
}

func (s *server) setex(_ *client, a [][]byte)  { s.setTimed(a, true, "setex") }
func (s *server) psetex(_ *client, a [][]byte) { s.setTimed(a, false, "psetex") }

func (s *server) setTimed(a [][]byte, seconds bool, name string) {
	if ttl, ok := s.ttl(a[2], seconds, false, name); ok {
		s.put(a[1], a[3], store.Write{TTL: ttl}, false, setOK)
	}
}

func (s *server) getset(_ *client, a [][]byte) {
	s.put(a[1], a[2], store.Write{}, true, setOK)
}

// setReply is what a Set without GET answers.
type setReply uint8

const (
	setOK  setReply = iota // OK, or null
	setInt                 // 1, or 0
)

// put writes an entry. old: the answer is the value that was there.
func (s *server) put(key, value []byte, w store.Write, old bool, as setReply) {
	if !s.keyFits(key) {
		return
	}
	if len(value) > store.MaxValue {
		s.r.error(errTooLong)
		return
	}
	if old {
		s.swap(key, value, w)
		return
	}
	_, err := s.store.Set(s.ctx, s.key(key), value, w)
	switch {
	case err == nil && as == setInt:
		s.r.int(1)
	case err == nil:
		s.r.ok()
	case !errors.Is(err, store.ErrConflict):
		s.failed(err)
	case as == setInt:
		s.r.int(0)
	default:
		s.r.null()
	}
}

// swap writes an entry and answers with the value that was there.
func (s *server) swap(key, value []byte, w store.Write) {
	var before store.Entry
	var had, wrote bool
	mark := len(s.r.b)
	done := s.change(key, func(e store.Entry, found bool) ([]byte, store.Write, bool) {
		before, had = e, found
		wrote = (w.If != store.IfAbsent || !found) && (w.If != store.IfPresent || found)
		return value, w, wrote
	})
	switch {
	case !done && (wrote || len(s.r.b) > mark): // answered with an error
	case had:
		s.r.bulk(before.Value)
	default:
		s.r.null()
	}
}

func (s *server) getex(_ *client, a [][]byte) {
	o, ok := s.parseSet(a[2:], true)
	if !ok {
		return
	}
	e, ok := s.present(a[1])
	if !ok {
		return
	}
	var ttl time.Duration
	if o.expiry != nil {
		if ttl, ok = s.ttl(o.expiry, o.seconds, o.at, "getex"); !ok {
			return
		}
	}
	// When the version is still the same after the touch, nobody wrote in
	// between, and what was read is what was touched.
	for o.expiry != nil || o.persist {
		if ttl < 0 {
			gone, ok := s.remove(a[1], e.Version)
			if !ok {
				return
			}
			if gone {
				break
			}
		} else if _, err := s.store.Touch(s.ctx, s.key(a[1]), ttl); err != nil {
			s.failed(err)
			return
		}
		read := e.Version
		if e, ok = s.present(a[1]); !ok {
			return
		}
		if e.Version == read {
			break
		}
	}
	s.r.bulk(e.Value)
}
