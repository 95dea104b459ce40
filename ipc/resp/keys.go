package resp

import "strconv"

func (s *server) del(c *client, a [][]byte) {
	var n int64
	s.each(c, a[1:], 1, func(key [][]byte) bool {
		if !s.keyFits(key[0]) {
			return false
		}
		found, err := s.store.Delete(s.ctx, s.key(key[0]), 0)
		if err != nil {
			s.failed(err)
			return false
		}
		if found {
			n++
		}
		return true
	}, func() { s.r.int(n) })
}

// exists is EXISTS and TOUCH: reading an entry is using it.
func (s *server) exists(c *client, a [][]byte) {
	var n int64
	s.each(c, a[1:], 1, func(key [][]byte) bool {
		_, found, ok := s.get(key[0])
		if found {
			n++
		}
		return ok
	}, func() { s.r.int(n) })
}

func (s *server) typeCommand(_ *client, a [][]byte) {
	_, found, ok := s.get(a[1])
	switch {
	case !ok:
	case found:
		s.r.simple("string")
	default:
		s.r.simple("none")
	}
}

func (s *server) dbsize(*client, [][]byte) {
	st, err := s.store.Stats(s.ctx)
	if err != nil {
		s.failed(err)
		return
	}
	s.r.int(st.Entries)
}

func (s *server) scan(_ *client, a [][]byte) {
	cursor, err := strconv.ParseUint(string(a[1]), 10, 64)
	if err != nil {
		s.r.error("ERR invalid cursor")
		return
	}
	count, pattern, wanted := int64(10), []byte(nil), true
	for i := 2; i < len(a); i += 2 {
		if i+1 == len(a) {
			s.r.error(errSyntax)
			return
		}
		switch value := a[i+1]; {
		case is(a[i], "count"):
			var ok bool
			if count, ok = s.integer(value); !ok {
				return
			}
			if count < 1 {
				s.r.error(errSyntax)
				return
			}
		case is(a[i], "match"):
			pattern = value
		case is(a[i], "type"):
			wanted = is(value, "string")
		default:
			s.r.error(errSyntax)
			return
		}
	}
	keys, next, err := s.store.Scan(s.ctx, cursor, int(min(count, turnKeys)))
	if err != nil {
		s.failed(err)
		return
	}
	n := 0
	for _, key := range keys {
		if wanted && (pattern == nil || match(pattern, key)) {
			keys[n] = key
			n++
		}
	}
	s.r.array(2)
	s.r.text(strconv.FormatUint(next, 10))
	s.r.array(n)
	for _, key := range keys[:n] {
		s.r.text(key)
	}
}

// keys walks through the store over as many turns as it takes.
func (s *server) keys(c *client, a [][]byte) {
	pattern := string(a[1])
	var cursor uint64
	var found []string
	c.step = func() (end bool) {
		keys, next, err := s.store.Scan(s.ctx, cursor, turnKeys)
		if err != nil {
			s.failed(err)
			return true
		}
		for _, key := range keys {
			if match([]byte(pattern), key) {
				found = append(found, key)
				c.held += len(key) + 16
				s.memory += int64(len(key) + 16)
			}
		}
		if c.held > s.maxOutput(c) {
			s.r.error("ERR more keys than a reply may have; use SCAN")
			return true
		}
		if cursor = next; cursor != 0 {
			return false
		}
		s.r.array(len(found))
		for _, key := range found {
			s.r.text(key)
		}
		return true
	}
}

// flush deletes every entry, over as many turns as it takes.
func (s *server) flush(c *client, a [][]byte) {
	if len(a) > 2 || (len(a) == 2 && !is(a[1], "async") && !is(a[1], "sync")) {
		s.r.error(errSyntax)
		return
	}
	var cursor uint64
	c.step = func() (end bool) {
		keys, next, err := s.store.Scan(s.ctx, cursor, turnKeys)
		for _, key := range keys {
			if err == nil {
				_, err = s.store.Delete(s.ctx, key, 0)
			}
		}
		if err != nil {
			s.failed(err)
			return true
		}
		if cursor = next; cursor != 0 {
			return false
		}
		s.r.ok()
		return true
	}
}
