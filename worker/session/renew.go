package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"prefork/ipc/store"
)

// renewKey marks the context of a Delete that RenewToken makes.
type renewKey struct{}

// RenewToken gives the session a new token and keeps its data, also what other
// requests have saved since it was loaded. The old token is dead when the
// response begins, or Commit returns; what a request that is still running with
// it changes is not kept (ErrGone). A request that ends without being saved,
// by a panic, by an error of the store or with its worker, leaves the old one as
// it was. Call it at login and wherever else rights change, before the response
// begins (ErrBegun). ErrGone: the session has ended meanwhile.
func (m *Manager) RenewToken(ctx context.Context) error {
	v := m.visit(ctx)
	if v != nil && v.begun.Load() {
		return fmt.Errorf("renew token: %w", ErrBegun)
	}
	if err := m.SessionManager.RenewToken(context.WithValue(ctx, renewKey{}, true)); err != nil {
		return err
	}
	if v != nil {
		v.renewed, _ = m.naming.keyOf(m.Token(ctx))
	}
	return nil
}

// mergeKey marks the context of a Delete that MergeSession makes.
type mergeKey struct{}

// MergeSession takes over what the session of another token has, key by key,
// and ends that one once this one is saved.
func (m *Manager) MergeSession(ctx context.Context, token string) error {
	return m.SessionManager.MergeSession(context.WithValue(ctx, mergeKey{}, true), token)
}

// endMerged ends the sessions that went into this one.
func (v *visit) endMerged(ctx context.Context) error {
	for len(v.merged) > 0 {
		if _, err := v.m.shared.Delete(ctx, v.merged[0], 0); err != nil {
			return fmt.Errorf("end merged session: %w", err)
		}
		v.merged = v.merged[1:]
	}
	return nil
}

// leave gives the token up: from here on the visit has nothing in the store but
// what the commit is to replace. ErrGone: it had ended, and does not come back.
func (v *visit) leave(ctx context.Context) error {
	if v.key == "" {
		return nil // left already, and not saved since
	}
	if v.lock.Name == v.key {
		// The lock goes with the token: from here on nobody can be fenced.
		if err := v.m.shared.Renew(ctx, v.lock, v.m.LockTTL); err != nil {
			return err
		}
	}
	if err := v.reload(ctx); err != nil {
		return err
	}
	v.old, v.key = v.key, ""
	return nil
}

// replace saves the session under its new key and ends the old one, in this
// order: whoever is killed in between leaves two, of which nobody knows the
// token of the new one. The old one is ended by its version, so that what
// others save meanwhile comes along.
func (v *visit) replace(ctx context.Context, key string, value []byte, deadline time.Time) error {
	for range attempts {
		write, until := value, deadline
		if !bytes.Equal(v.base, v.stored) {
			var err error
			if write, until, err = v.m.merge(v.base, value, v.stored); err != nil {
				return v.undo(ctx, key, err)
			}
		}
		version, err := v.m.shared.Set(ctx, key, write, store.Write{TTL: v.m.expiry(until)})
		if err != nil {
			return err
		}
		found, err := v.m.shared.Delete(ctx, v.old, v.version)
		switch {
		case errors.Is(err, store.ErrConflict):
			if err := v.reload(ctx); err != nil {
				return v.undo(ctx, key, err)
			}
		case err != nil:
			return v.undo(ctx, key, err)
		case !found:
			return v.undo(ctx, key, ErrGone)
		default:
			v.key, v.version, v.base, v.stored, v.old = key, version, value, write, ""
			return nil
		}
	}
	return v.undo(ctx, key, store.ErrConflict)
}

// undo removes what replace has written. If that fails it expires, and nobody
// has its token.
func (v *visit) undo(ctx context.Context, key string, cause error) error {
	_, _ = v.m.shared.Delete(ctx, key, 0)
	return cause
}
