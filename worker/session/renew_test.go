package session_test

import (
	"context"
	"net/http"
	"testing"

	"prefork/ipc/store"
	"prefork/worker/session"
)

// fullStore has room for nothing new.
type fullStore struct{ store.Store }

func (f fullStore) Set(ctx context.Context, key string, value []byte, w store.Write) (uint64, error) {
	if _, found, err := f.Get(ctx, key); err != nil || !found {
		return 0, store.ErrFull
	}
	return f.Store.Set(ctx, key, value, w)
}

// oneSession says that the store has one session, with a cart.
func oneSession(t *testing.T, m *session.Manager, token string) {
	t.Helper()
	n := 0
	if err := m.Iterate(ctx, func(context.Context) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d sessions, %v", n, err)
	}
	if got := values(t, m, token); got != "map[cart:1]" {
		t.Errorf("the session has %s", got)
	}
}

func TestRenewalThatIsNotSavedLeavesTheOldSession(t *testing.T) {
	shared := newStore()
	m := session.New(shared)
	token := begin(t, m, map[string]any{"cart": 1})

	full := session.New(fullStore{shared})
	answer := do(full, token, func(_ http.ResponseWriter, r *http.Request) {
		if err := full.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		full.Put(r.Context(), "user", "ada")
	})
	if answer.StatusCode != http.StatusServiceUnavailable || len(answer.Cookies()) != 0 {
		t.Errorf("%s, %v", answer.Status, answer.Cookies())
	}
	oneSession(t, m, token)

	func() {
		defer func() { _ = recover() }()
		do(m, token, func(_ http.ResponseWriter, r *http.Request) {
			if err := m.RenewToken(r.Context()); err != nil {
				t.Error(err)
			}
			m.Put(r.Context(), "user", "ada")
			panic("the password cannot be looked up")
		})
	}()
	oneSession(t, m, token)
}

// What a renewal and another request both changed is refused, and the session
// stays with the other one's.
func TestRenewalThatConflictsLeavesTheOldSession(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"cart": 0})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		if err := m.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		do(m, token, put(m, "cart", 1))
		m.Put(r.Context(), "cart", 2)
	})
	if answer.StatusCode != http.StatusConflict || len(answer.Cookies()) != 0 {
		t.Errorf("%s, %v", answer.Status, answer.Cookies())
	}
	oneSession(t, m, token)
}

func TestLogoutWhileATokenIsRenewedWins(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"user": "ada"})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		if err := m.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		do(m, token, func(_ http.ResponseWriter, r *http.Request) {
			if err := m.Destroy(r.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	if answer.StatusCode != http.StatusConflict || len(answer.Cookies()) != 0 {
		t.Errorf("%s, %v", answer.Status, answer.Cookies())
	}
	if err := m.Iterate(ctx, func(context.Context) error { t.Error("a session is left"); return nil }); err != nil {
		t.Error(err)
	}
}

// Whatever a handler does after it renewed the token, the old one ends.
func TestAfterARenewalTheOldTokenIsDead(t *testing.T) {
	for name, more := range map[string]func(*session.Manager, context.Context, string) error{
		"nothing":       func(*session.Manager, context.Context, string) error { return nil },
		"renewed again": func(m *session.Manager, c context.Context, _ string) error { return m.RenewToken(c) },
		"committed and renewed": func(m *session.Manager, c context.Context, _ string) error {
			if _, _, err := m.Commit(c); err != nil {
				return err
			}
			return m.RenewToken(c)
		},
		"destroyed": func(m *session.Manager, c context.Context, _ string) error { return m.Destroy(c) },
		"merged with the old one": func(m *session.Manager, c context.Context, token string) error {
			return m.MergeSession(c, token)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager()
			token := begin(t, m, map[string]any{"cart": 1})
			answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
				if err := m.RenewToken(r.Context()); err != nil {
					t.Error(err)
				}
				if err := more(m, r.Context(), token); err != nil {
					t.Error(err)
				}
			})
			if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
				t.Fatalf("%s, %v", answer.Status, answer.Cookies())
			}
			if got := values(t, m, token); got != "map[]" {
				t.Errorf("the old token has %s", got)
			}
			want := 1
			if name == "destroyed" {
				want = 0
			} else {
				oneSession(t, m, answer.Cookies()[0].Value)
			}
			n := 0
			if err := m.Iterate(ctx, func(context.Context) error { n++; return nil }); err != nil || n != want {
				t.Errorf("%d sessions, %v", n, err)
			}
		})
	}
}

func TestMergeThatIsNotSavedLeavesBothSessions(t *testing.T) {
	shared := newStore()
	m := session.New(shared)
	before := begin(t, m, map[string]any{"cart": 1})
	full := session.New(fullStore{shared})
	answer := do(full, "", func(_ http.ResponseWriter, r *http.Request) {
		if err := full.MergeSession(r.Context(), before); err != nil {
			t.Error(err)
		}
	})
	if answer.StatusCode != http.StatusServiceUnavailable || len(answer.Cookies()) != 0 {
		t.Errorf("%s, %v", answer.Status, answer.Cookies())
	}
	oneSession(t, m, before)
}

func TestSessionsMergedKeepBothAndLeaveOne(t *testing.T) {
	m := newManager()
	before := begin(t, m, map[string]any{"cart": 1})
	token := begin(t, m, map[string]any{"user": "ada"})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		if err := m.MergeSession(r.Context(), before); err != nil {
			t.Error(err)
		}
	})
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	if got := values(t, m, token); got != "map[cart:1 user:ada]" {
		t.Errorf("the session has %s", got)
	}
	if got := values(t, m, before); got != "map[]" {
		t.Errorf("the other one has %s", got)
	}
}
