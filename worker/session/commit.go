package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"prefork/ipc/store"
)

// attempts bounds how often a commit starts again because another one came
// before it. Each time another one has succeeded, so the bound is above what a
// browser can have open at once many times over: a slow one among eight that
// wrote without a pause was overtaken 64 times.
const attempts = 1000

// CommitCtx saves a session: with the version that was loaded, or after it has
// put this request's changes into what others have saved since. A session that
// has ended is never made anew.
func (t table) CommitCtx(ctx context.Context, token string, value []byte, expiry time.Time) error {
	v := t.m.visit(ctx)
	if v == nil {
		return errOutside
	}
	key := v.key
	if key == "" {
		var ok bool
		if key, ok = t.m.naming.keyOf(token); !ok {
			return fmt.Errorf("commit session: token of %d bytes (want %d)", len(token), tokenSize)
		}
	} else if bytes.Equal(value, v.base) {
		return v.endMerged(lasting(ctx, v))
	}
	v.moved = v.moved || !v.m.sameDeadline(v.base, value)
	save := v.commit
	if v.old != "" {
		save = v.replace
	}
	if err := save(lasting(ctx, v), key, value, expiry); err != nil {
		return fmt.Errorf("commit session: %w", err)
	}
	return v.endMerged(lasting(ctx, v))
}

func (v *visit) commit(ctx context.Context, key string, value []byte, deadline time.Time) error {
	for range attempts {
		write, until := value, deadline
		if !bytes.Equal(v.base, v.stored) {
			var err error
			if write, until, err = v.m.merge(v.base, value, v.stored); err != nil {
				return err
			}
		}
		w := store.Write{TTL: v.m.expiry(until), If: store.IfAbsent}
		if v.key != "" {
			w.If, w.Version = store.IfVersion, v.version
		}
		if v.lock.Name == key {
			w.Token = v.lock
		}
		version, err := v.m.shared.Set(ctx, key, write, w)
		switch {
		case err == nil:
			v.key, v.version, v.base, v.stored = key, version, value, write
			return nil
		case !errors.Is(err, store.ErrConflict) || v.key == "":
			return err
		}
		if err := v.reload(ctx); err != nil {
			return err
		}
	}
	return store.ErrConflict
}

// reload finds what others have saved since.
func (v *visit) reload(ctx context.Context) error {
	key := v.key
	if v.old != "" {
		key = v.old
	}
	e, found, err := v.m.shared.Get(ctx, key)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrGone
	}
	v.version, v.stored = e.Version, e.Value
	return nil
}

// sameDeadline says whether two encoded sessions end at one time. It compares
// the beginnings of what Codec wrote, and may say no for what others have.
func (m *Manager) sameDeadline(a, b []byte) bool {
	if _, own := m.Codec.(Codec); own {
		i := bytes.IndexByte(b, ',')
		return i > 0 && i < len(a) && bytes.Equal(a[:i+1], b[:i+1])
	}
	if a == nil {
		return false
	}
	before, _, err1 := m.Codec.Decode(a)
	after, _, err2 := m.Codec.Decode(b)
	return err1 == nil && err2 == nil && before.Equal(after)
}
