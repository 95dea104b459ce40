package session

import (
	"fmt"
	"reflect"
	"time"

	"prefork/ipc/store"
)

// merge puts what a request changed, from base to mine, into what others have
// saved: for each key, and for the deadline, what it set or removed holds,
// what it left alone stays theirs. What others changed as well is not what the
// request saw, and its value may have been made from that: two that count from 5
// both say 6, and two that take the one code both say that it is gone. So equal
// values are refused too, unless SameKey says otherwise.
func (m *Manager) merge(base, mine, theirs []byte) (merged []byte, deadline time.Time, err error) {
	var at [3]time.Time
	var has [3]map[string]any
	for i, b := range [][]byte{base, mine, theirs} {
		if i == 0 && b == nil {
			continue // nothing was there
		}
		if at[i], has[i], err = m.Codec.Decode(b); err != nil {
			return nil, time.Time{}, err
		}
	}
	was, want, out := has[0], has[1], has[2]
	if out == nil {
		out = map[string]any{}
	}
	for i, names := range []map[string]any{was, want} {
		for name := range names {
			if _, done := was[name]; done && i == 1 {
				continue
			}
			before, now := valueOf(was, name), valueOf(want, name)
			if reflect.DeepEqual(before, now) {
				continue
			}
			there := valueOf(out, name)
			if m.SameKey == Refuse && !reflect.DeepEqual(before, there) {
				return nil, time.Time{}, fmt.Errorf("key %q was changed by two requests: %w", name, store.ErrConflict)
			}
			if now.there {
				out[name] = now.value
			} else {
				delete(out, name)
			}
		}
	}
	deadline = at[2]
	if !at[0].Equal(at[1]) {
		deadline = at[1]
	}
	merged, err = m.Codec.Encode(deadline, out)
	return merged, deadline, err
}

// optional tells a key that is not there from one that is nil.
type optional struct {
	value any
	there bool
}

func valueOf(values map[string]any, name string) optional {
	value, there := values[name]
	return optional{value, there}
}
