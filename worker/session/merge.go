package session

import (
	"fmt"
	"reflect"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// merge puts what one request changed in a session, from base to mine, into
// what another one has made of it meanwhile. ErrConflict: both changed one
// value, to different ones.
func merge(codec scs.Codec, base, mine, theirs []byte) ([]byte, error) {
	_, was, err := codec.Decode(base)
	if err != nil {
		return nil, err
	}
	deadline, changed, err := codec.Decode(mine)
	if err != nil {
		return nil, err
	}
	_, now, err := codec.Decode(theirs)
	if err != nil {
		return nil, err
	}
	for key := range union(was, changed) {
		before, had := was[key]
		after, has := changed[key]
		if had == has && reflect.DeepEqual(before, after) {
			continue // not changed here
		}
		other, hasNow := now[key]
		untouched := had == hasNow && reflect.DeepEqual(before, other)
		agreed := has == hasNow && reflect.DeepEqual(after, other)
		switch {
		case agreed:
		case !untouched:
			return nil, fmt.Errorf("save session: %w: two requests changed %q", store.ErrConflict, key)
		case has:
			now[key] = after
		default:
			delete(now, key)
		}
	}
	return codec.Encode(deadline, now)
}

func union(a, b map[string]any) map[string]struct{} {
	all := make(map[string]struct{}, len(a)+len(b))
	for key := range a {
		all[key] = struct{}{}
	}
	for key := range b {
		all[key] = struct{}{}
	}
	return all
}
