package session

import (
	"context"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// table is a Manager as scs sees it: the store of its sessions.
type table struct{ m *Manager }

var (
	_ scs.CtxStore         = table{}
	_ scs.IterableStore    = table{}
	_ scs.IterableCtxStore = table{}
)

// FindCtx finds a session. While its request loads it, it notes what there is.
func (t table) FindCtx(ctx context.Context, token string) (value []byte, found bool, err error) {
	if !wellFormed(token) { // nor one of Iterate, which a client could send too
		return nil, false, nil
	}
	key, v := t.m.naming.hash(token), t.m.visit(ctx)
	if v != nil && v.old == key {
		return nil, false, nil // MergeSession with the token that it gave up
	}
	e, found, err := t.m.shared.Get(ctx, key)
	if err != nil {
		return nil, false, fmt.Errorf("load session: %w", err)
	}
	if found && v != nil && v.loading {
		v.key, v.version, v.base, v.stored, v.left = key, e.Version, e.Value, e.Value, e.TTL
	}
	return e.Value, found, nil
}

// DeleteCtx ends a session, whatever others have written meanwhile. For
// RenewToken and MergeSession it ends nothing yet: the commit does.
func (t table) DeleteCtx(ctx context.Context, token string) error {
	key, ok := t.m.naming.keyOf(token)
	if !ok {
		return nil // of a session that was never saved
	}
	v := t.m.visit(ctx)
	mine := v != nil && (v.key == key || v.renewed == key)
	renewing := ctx.Value(renewKey{}) != nil
	if v != nil && !mine && ctx.Value(mergeKey{}) != nil {
		v.merged = append(v.merged, key)
		return nil
	}
	ctx = lasting(ctx, v)
	if mine && renewing {
		if err := v.leave(ctx); err != nil {
			return fmt.Errorf("renew token: %w", err)
		}
		return nil
	}
	if mine && v.old != "" {
		if _, err := t.m.shared.Delete(ctx, v.old, 0); err != nil {
			return fmt.Errorf("destroy session: %w", err)
		}
	}
	if _, err := t.m.shared.Delete(ctx, key, 0); err != nil {
		return fmt.Errorf("destroy session: %w", err)
	}
	if mine {
		v.forget()
		return v.endMerged(ctx)
	}
	return nil
}

// AllCtx gives all sessions. In the place of tokens, which the store does not
// know, it has keys of its own kind, which Delete takes.
func (t table) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := t.m.each(ctx, func(key string, e store.Entry) error {
		all[byKey+key] = e.Value
		return nil
	})
	return all, err
}

// The rest is for scs' interface; scs itself calls those above.

func (t table) Find(token string) ([]byte, bool, error) {
	return t.FindCtx(context.Background(), token)
}

func (t table) Delete(token string) error { return t.DeleteCtx(context.Background(), token) }

func (t table) Commit(token string, value []byte, expiry time.Time) error {
	return t.CommitCtx(context.Background(), token, value, expiry)
}

func (t table) All() (map[string][]byte, error) { return t.AllCtx(context.Background()) }
