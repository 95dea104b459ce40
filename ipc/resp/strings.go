package resp

import (
	"errors"

	"prefork/ipc/store"
)

// change reads an entry and writes what f makes of it, again and again until
// nobody else wrote in between; the condition of the write is change's own. It
// answers only with errors of the store, and says whether it wrote. f may say
// that there is nothing to write; it has answered then, or the caller does.
// f must not keep the entry's value.
func (s *server) change(key []byte, f func(e store.Entry, found bool) (value []byte, w store.Write, write bool)) (done bool) {
	for {
		e, found, ok := s.get(key)
		if !ok {
			return false
		}
		value, w, write := f(e, found)
		if !write {
			return false
		}
		if len(value) > store.MaxValue {
			s.r.error(errTooLong)
			return false
		}
		w.If, w.Version = store.IfAbsent, 0
		if found {
			w.If, w.Version = store.IfVersion, e.Version
		}
		_, err := s.store.Set(s.ctx, s.key(key), value, w)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			s.failed(err)
			return false
		}
		return true
	}
}

func (s *server) getCommand(_ *client, a [][]byte) {
	if e, ok := s.present(a[1]); ok {
		s.r.bulk(e.Value)
	}
}

// present is get for a command that answers null where there is no entry. It
// answers when it says that there is none to be had.
func (s *server) present(key []byte) (e store.Entry, ok bool) {
	e, found, ok := s.get(key)
	if ok && !found {
		s.r.null()
	}
	return e, ok && found
}

func (s *server) getdel(_ *client, a [][]byte) {
	for {
		e, ok := s.present(a[1])
		if !ok {
			return
		}
		gone, ok := s.remove(a[1], e.Version)
		if !ok {
			return
		}
		if gone {
			s.r.bulk(e.Value)
			return
		}
	}
}

// remove deletes an entry in the version that was read. Not gone: somebody
// wrote in between. It answers when it says that it could not.
func (s *server) remove(key []byte, version uint64) (gone, ok bool) {
	_, err := s.store.Delete(s.ctx, s.key(key), version)
	if err == nil || errors.Is(err, store.ErrConflict) {
		return err == nil, true
	}
	s.failed(err)
	return false, false
}

func (s *server) strlen(_ *client, a [][]byte) {
	if e, _, ok := s.get(a[1]); ok {
		s.r.int(int64(len(e.Value)))
	}
}

func (s *server) appendCommand(_ *client, a [][]byte) {
	var n int
	var joined []byte
	if s.change(a[1], func(e store.Entry, found bool) ([]byte, store.Write, bool) {
		joined = append(append(joined[:0], e.Value...), a[2]...)
		n = len(joined)
		return joined, store.Write{KeepTTL: true}, true
	}) {
		s.r.int(int64(n))
	}
}

func (s *server) getrange(_ *client, a [][]byte) {
	start, ok1 := integer(a[2])
	end, ok2 := integer(a[3])
	if !ok1 || !ok2 {
		s.r.error(errNotInteger)
		return
	}
	e, _, ok := s.get(a[1])
	if !ok {
		return
	}
	n := int64(len(e.Value))
	if n == 0 || (start < 0 && end < 0 && start > end) {
		s.r.text("")
		return
	}
	if start < 0 {
		start = max(0, start+n)
	}
	if end < 0 {
		end = max(0, end+n)
	}
	end = min(end, n-1)
	if start > end {
		s.r.text("")
		return
	}
	s.r.bulk(e.Value[start : end+1])
}

func (s *server) setrange(_ *client, a [][]byte) {
	offset, ok := s.integer(a[2])
	if !ok {
		return
	}
	if offset < 0 {
		s.r.error("ERR offset is out of range")
		return
	}
	var n int
	var changed []byte
	if s.change(a[1], func(e store.Entry, found bool) ([]byte, store.Write, bool) {
		if len(a[3]) == 0 {
			s.r.int(int64(len(e.Value)))
			return nil, store.Write{}, false
		}
		if offset > store.MaxValue {
			s.r.error(errTooLong)
			return nil, store.Write{}, false
		}
		n = max(len(e.Value), int(offset)+len(a[3]))
		changed = append(changed[:0], make([]byte, n)...)
		copy(changed, e.Value)
		copy(changed[offset:], a[3])
		return changed, store.Write{KeepTTL: true}, true
	}) {
		s.r.int(int64(n))
	}
}

// mget answers with an error instead of the list when one comes before the
// first of it has been sent, else with an error in the list.
func (s *server) mget(c *client, a [][]byte) {
	mark := len(s.r.b)
	n := 0
	s.each(c, a[1:], 1, func(key [][]byte) bool {
		if n++; n == 1 {
			s.r.array(len(a) - 1)
		}
		before := len(s.r.b)
		e, found, ok := s.get(key[0])
		switch {
		case !ok && len(a) <= turnKeys:
			s.r.b = append(s.r.b[:mark], s.r.b[before:]...)
			return false
		case !ok:
		case found:
			s.r.bulk(e.Value)
		default:
			s.r.null()
		}
		return true
	}, func() {})
}

func (s *server) mset(c *client, a [][]byte) {
	if len(a)%2 == 0 {
		s.r.error("ERR wrong number of arguments for 'mset' command")
		return
	}
	for i := 1; i < len(a); i += 2 { // what can be known before the first is written
		if !s.keyFits(a[i]) {
			return
		}
		if len(a[i+1]) > store.MaxValue {
			s.r.error(errTooLong)
			return
		}
	}
	s.each(c, a[1:], 2, func(pair [][]byte) bool {
		_, err := s.store.Set(s.ctx, s.key(pair[0]), pair[1], store.Write{})
		if err != nil {
			s.failed(err)
		}
		return err == nil
	}, s.r.ok)
}
