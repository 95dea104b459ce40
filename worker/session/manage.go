package session

import (
	"context"
	"fmt"
	"strings"

	"prefork/ipc/store"
)

// Load is for those who do not use LoadAndSave: it puts the session of a
// token, or a new one, into a context, for all other methods. Commit saves it.
func (m *Manager) Load(ctx context.Context, token string) (context.Context, error) {
	if m.visit(ctx) != nil {
		return ctx, nil
	}
	return (&visit{Context: ctx, m: m}).load(token)
}

// Iterate calls f with a context for each session of the store, one after the
// other. In it all methods are of that session: Destroy ends it, Commit saves
// it. Its Token is not one that a client could send. A session that is there
// all the time is given at least once.
func (m *Manager) Iterate(ctx context.Context, f func(context.Context) error) error {
	return m.each(ctx, func(key string, e store.Entry) error {
		v := &visit{Context: ctx, m: m, key: key, version: e.Version, base: e.Value, stored: e.Value}
		one := *m.SessionManager // its Iterate alone can make the context
		one.Store = single{table{m}, byKey + key, e.Value}
		return one.Iterate(v, f)
	})
}

// single is a store of one session, for Iterate.
type single struct {
	table
	token string
	value []byte
}

func (s single) AllCtx(context.Context) (map[string][]byte, error) {
	return map[string][]byte{s.token: s.value}, nil
}

// scanCount is how many keys one look into the store asks for.
const scanCount = 512

// each calls f with all sessions of the store.
func (m *Manager) each(ctx context.Context, f func(key string, e store.Entry) error) error {
	prefix := m.naming.prefix
	for cursor := uint64(0); ; {
		keys, next, err := m.shared.Scan(ctx, cursor, scanCount)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		for _, key := range keys {
			if !strings.HasPrefix(key, prefix) || len(key) != len(prefix)+tokenSize {
				continue
			}
			e, found, err := m.shared.Get(ctx, key)
			if err != nil {
				return fmt.Errorf("list sessions: %w", err)
			}
			if !found {
				continue
			}
			if err := f(key, e); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
