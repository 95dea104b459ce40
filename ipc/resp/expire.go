package resp

import (
	"errors"
	"math"
	"time"

	"prefork/ipc/store"
)

func (s *server) expire(_ *client, a [][]byte)    { s.expireAs(a, true, false, "expire") }
func (s *server) pexpire(_ *client, a [][]byte)   { s.expireAs(a, false, false, "pexpire") }
func (s *server) expireat(_ *client, a [][]byte)  { s.expireAs(a, true, true, "expireat") }
func (s *server) pexpireat(_ *client, a [][]byte) { s.expireAs(a, false, true, "pexpireat") }

// expireOptions are the conditions of EXPIRE.
type expireOptions struct{ nx, xx, gt, lt bool }

func (s *server) parseExpire(a [][]byte) (o expireOptions, ok bool) {
	for _, arg := range a {
		switch {
		case is(arg, "nx"):
			o.nx = true
		case is(arg, "xx"):
			o.xx = true
		case is(arg, "gt"):
			o.gt = true
		case is(arg, "lt"):
			o.lt = true
		default:
			s.r.error("ERR Unsupported option " + string(cut(arg, 128)))
			return o, false
		}
	}
	if o.nx && (o.xx || o.gt || o.lt) {
		s.r.error("ERR NX and XX, GT or LT options at the same time are not compatible")
		return o, false
	}
	if o.gt && o.lt {
		s.r.error("ERR GT and LT options at the same time are not compatible")
		return o, false
	}
	return o, true
}

// met says whether the conditions hold for an expiry of now (0: never) and a
// new one. Redis counts whole milliseconds; here both are counted from moments
// a few microseconds apart, so that less than half a millisecond is no
// difference.
func (o expireOptions) met(now, next time.Duration) bool {
	const none = time.Millisecond / 2
	switch {
	case o.nx && now != 0, o.xx && now == 0:
		return false
	case o.gt && (now == 0 || next < now+none):
		return false
	case o.lt && now != 0 && next > now-none:
		return false
	}
	return true
}

func (s *server) expireAs(a [][]byte, seconds, at bool, name string) {
	o, ok := s.parseExpire(a[3:])
	if !ok {
		return
	}
	n, ok := s.integer(a[2])
	if !ok {
		return
	}
	now := time.Now().UnixMilli()
	bad := seconds && (n > math.MaxInt64/1000 || n < math.MinInt64/1000)
	if seconds {
		n *= 1000
	}
	if bad || (!at && n > math.MaxInt64-now) {
		s.r.error("ERR invalid expire time in '" + name + "' command")
		return
	}
	var ttl time.Duration
	switch {
	case at:
		ttl = untilMilli(n)
	case n > 0:
		ttl = milliseconds(n)
	default:
		ttl = -1
	}
	if !s.keyFits(a[1]) {
		return
	}
	if o == (expireOptions{}) {
		s.touch(a[1], ttl)
	} else {
		s.touchIf(a[1], ttl, o)
	}
}

// touch sets an expiry; one in the past deletes.
func (s *server) touch(key []byte, ttl time.Duration) {
	var found bool
	var err error
	if ttl < 0 {
		found, err = s.store.Delete(s.ctx, s.key(key), 0)
	} else {
		found, err = s.store.Touch(s.ctx, s.key(key), ttl)
	}
	s.countOf(found, err)
}

// touchIf sets an expiry under conditions. As Touch has none, the entry is
// written anew at the version that the conditions were looked at with.
func (s *server) touchIf(key []byte, ttl time.Duration, o expireOptions) {
	for {
		e, found, ok := s.get(key)
		if !ok {
			return
		}
		if !found || !o.met(e.TTL, ttl) {
			s.r.int(0)
			return
		}
		var err error
		if ttl < 0 {
			_, err = s.store.Delete(s.ctx, s.key(key), e.Version)
		} else {
			_, err = s.store.Set(s.ctx, s.key(key), e.Value, store.Write{TTL: ttl, If: store.IfVersion, Version: e.Version})
		}
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		s.countOf(true, err)
		return
	}
}

// countOf answers 1 or 0.
func (s *server) countOf(found bool, err error) {
	switch {
	case err != nil:
		s.failed(err)
	case found:
		s.r.int(1)
	default:
		s.r.int(0)
	}
}

func (s *server) persist(_ *client, a [][]byte) {
	e, found, ok := s.get(a[1])
	if !ok {
		return
	}
	if !found || e.TTL == 0 {
		s.r.int(0)
		return
	}
	s.countOf(s.store.Touch(s.ctx, s.key(a[1]), 0))
}

func (s *server) ttlCommand(_ *client, a [][]byte) { s.left(a[1], true, false) }
func (s *server) pttl(_ *client, a [][]byte)       { s.left(a[1], false, false) }

func (s *server) expiretime(_ *client, a [][]byte)  { s.left(a[1], true, true) }
func (s *server) pexpiretime(_ *client, a [][]byte) { s.left(a[1], false, true) }

// left answers with what is left of an entry's time, or with its end on the
// wall clock, to the nearest millisecond: -2 without an entry, -1 without an
// expiry.
func (s *server) left(key []byte, seconds, at bool) {
	e, found, ok := s.get(key)
	if !ok {
		return
	}
	var ms int64
	switch {
	case !found:
		s.r.int(-2)
		return
	case e.TTL == 0:
		s.r.int(-1)
		return
	case at:
		ms = (time.Now().UnixNano()/1000 + e.TTL.Microseconds() + 500) / 1000
	default:
		ms = int64(e.TTL.Round(time.Millisecond) / time.Millisecond)
	}
	if seconds {
		ms = (ms + 500) / 1000
	}
	s.r.int(ms)
}
