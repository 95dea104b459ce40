package session

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// unlockTimeout bounds the return of a lock; one that is not returned ends
// with its time.
const unlockTimeout = 2 * time.Second

// Exclusive is LoadAndSave for one request of a session at a time, over all
// workers: a second one waits until the first has been answered, and then finds
// what that has saved. Requests without a session do not wait. The lock is
// released when its worker dies, and after LockTTL when its handler does not
// return: what such a one saves later is refused (store.ErrFenced).
//
// Use it in the place of LoadAndSave, for all of an application or for some of
// its paths. Only requests that both use it wait for each other.
func (m *Manager) Exclusive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.visit(r.Context()) != nil {
			m.ErrorFunc(w, r, errInside)
			return
		}
		v, token := m.newVisit(w, r), m.cookie(r)
		unlock, err := v.take(token)
		if err != nil {
			m.ErrorFunc(w, r, err)
			return
		}
		defer unlock()
		v.serve(token, next)
	})
}

// take takes the lock of a session, if there is such a session: a token that
// somebody made up must cost the store nothing.
func (v *visit) take(token string) (unlock func(), err error) {
	if token == "" {
		return func() {}, nil
	}
	key := v.m.naming.hash(token)
	_, found, err := v.m.shared.Get(v.Context, key)
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	if !found {
		return func() {}, nil
	}
	wait := v.Context
	if v.m.LockWait > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(wait, v.m.LockWait)
		defer cancel()
	}
	// The lock has the name of the key, so that a cluster has them in one
	// place.
	if v.lock, err = v.m.shared.Lock(wait, key, v.m.LockTTL); err != nil {
		return nil, fmt.Errorf("lock session: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(v.Context), unlockTimeout)
		defer cancel()
		// Whoever has it now, or whatever keeps the store away, the lock's own
		// time ends it.
		_ = v.m.shared.Unlock(ctx, v.lock)
	}, nil
}
