package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// table is what scs stores sessions in.
type table struct {
	store  store.Store
	prefix string
	secret [32]byte
	codec  func() scs.Codec
}

var (
	_ scs.CtxStore         = (*table)(nil)
	_ scs.IterableStore    = (*table)(nil)
	_ scs.IterableCtxStore = (*table)(nil)
)

func (t *table) Find(token string) ([]byte, bool, error) {
	return t.FindCtx(context.Background(), token)
}

func (t *table) Commit(token string, b []byte, expiry time.Time) error {
	return t.CommitCtx(context.Background(), token, b, expiry)
}

func (t *table) Delete(token string) error { return t.DeleteCtx(context.Background(), token) }

func (t *table) All() (map[string][]byte, error) { return t.AllCtx(context.Background()) }

// FindCtx reads a session and remembers its version for the commit.
func (t *table) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	v := t.visitOf(ctx)
	key := t.keyOf(v, token)
	e, found, err := t.store.Get(ctx, key)
	if err != nil || !found {
		return nil, false, err
	}
	v.note(key, e)
	return e.Value, true, nil
}

func (v *visit) note(key string, e store.Entry) {
	if v != nil {
		v.known[key] = loaded{e.Value, e.Version, e.TTL}
	}
}

// DeleteCtx ends a session. Requests that have loaded it find it gone when
// they commit.
func (t *table) DeleteCtx(ctx context.Context, token string) error {
	v := t.visitOf(ctx)
	key := t.keyOf(v, token)
	if v != nil {
		delete(v.known, key)
	}
	_, err := t.store.Delete(ctx, key, 0)
	return err
}

// errGone says that a session was ended while a request had it.
var errGone = errors.New("session: ended by another request")

// CommitCtx saves a session: one that was loaded by the version it had then,
// a new one only where nothing is.
func (t *table) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	v := t.visitOf(ctx)
	key := t.keyOf(v, token)
	left := time.Until(expiry)
	if left <= 0 {
		left = -1 // deletes: 0 would mean for ever
	}
	w := store.Write{TTL: left, If: store.IfAbsent}
	if v == nil {
		// Without a visit nothing is known of what was loaded: scs's own
		// semantics, the last one wins.
		_, err := t.store.Set(ctx, key, b, store.Write{TTL: left})
		return err
	}
	w.Token = v.lock
	was, known := v.known[key]
	if known && bytes.Equal(was.value, b) {
		return t.keep(ctx, v, key, was, left)
	}
	if known {
		w.If, w.Version = store.IfVersion, was.version
	}
	for range maxMerges {
		version, err := t.store.Set(ctx, key, b, w)
		if err == nil {
			v.known[key] = loaded{b, version, max(0, left)}
			v.wrote = true
			return nil
		}
		if !known || !errors.Is(err, store.ErrConflict) {
			return err
		}
		now, found, err := t.store.Get(ctx, key)
		if err != nil {
			return err
		}
		if !found {
			return errGone
		}
		if b, err = merge(t.codec(), was.value, b, now.Value); err != nil {
			return err
		}
		w.Version = now.Version
		was = loaded{now.Value, now.Version, now.TTL}
	}
	return fmt.Errorf("save session: %w: %d others were first", store.ErrConflict, maxMerges)
}

// maxMerges bounds how often a commit is overtaken by others.
const maxMerges = 32

// keep moves the expiry of a session that did not change, when that is worth a
// write: once a tenth of the time is over, or when it is to end sooner.
func (t *table) keep(ctx context.Context, v *visit, key string, was loaded, left time.Duration) error {
	if was.ttl != 0 && left >= was.ttl && left-was.ttl < left/10 {
		return nil
	}
	found, err := t.store.Touch(ctx, key, left)
	switch {
	case err != nil:
		return err
	case !found:
		return errGone
	}
	was.ttl = max(0, left)
	v.known[key] = was
	return nil
}

// AllCtx gives every session, by its key in the store. Without Iterate the
// keys are good for nothing but counting: they are no tokens.
func (t *table) AllCtx(ctx context.Context) (map[string][]byte, error) {
	v := t.visitOf(ctx)
	all := make(map[string][]byte)
	for cursor := uint64(0); ; {
		keys, next, err := t.store.Scan(ctx, cursor, 1000)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if !strings.HasPrefix(key, t.prefix) {
				continue
			}
			e, found, err := t.store.Get(ctx, key)
			if err != nil {
				return nil, err
			}
			if found {
				all[key] = e.Value
				v.note(key, e)
			}
		}
		if next == 0 {
			return all, nil
		}
		cursor = next
	}
}
