package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/worker/session"
)

// do runs a handler for a request with a token and gives the answer. "" is a
// client without one.
func do(m *session.Manager, token string, h http.HandlerFunc) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
	}
	w := httptest.NewRecorder()
	m.LoadAndSave(h).ServeHTTP(w, r)
	return w.Result()
}

// begin makes a session with values and gives its token.
func begin(t *testing.T, m *session.Manager, values map[string]any) string {
	t.Helper()
	answer := do(m, "", func(_ http.ResponseWriter, r *http.Request) {
		for k, v := range values {
			m.Put(r.Context(), k, v)
		}
	})
	for _, c := range answer.Cookies() {
		return c.Value
	}
	t.Fatalf("no cookie: %v", answer.Header)
	return ""
}

// values gives what the session of a token has, as fmt shows it.
func values(t *testing.T, m *session.Manager, token string) string {
	t.Helper()
	got := map[string]any{}
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		for _, k := range m.Keys(r.Context()) {
			got[k] = m.Get(r.Context(), k)
		}
	})
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d", answer.StatusCode)
	}
	return fmt.Sprint(got)
}

func newManager() *session.Manager { return session.New(newStore()) }

func put(m *session.Manager, k string, v any) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), k, v) }
}

func TestRenewedSessionKeepsWhatOthersSaved(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"cart": "tea", "seen": 1})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		do(m, token, put(m, "seen", 2)) // while this one runs
		if err := m.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		do(m, token, put(m, "late", 3)) // after the renewal, before it is saved
		m.Put(r.Context(), "user", "ada")
	})
	cookies := answer.Cookies()
	if len(cookies) != 1 || cookies[0].Value == token {
		t.Fatalf("cookies %v", cookies)
	}
	if got := values(t, m, cookies[0].Value); got != "map[cart:tea late:3 seen:2 user:ada]" {
		t.Errorf("the new session has %s", got)
	}
	if got := values(t, m, token); got != "map[]" {
		t.Errorf("the old token has %s", got)
	}
}

func TestEndedSessionIsNotRenewed(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"user": "ada"})
	answer := do(m, token, func(w http.ResponseWriter, r *http.Request) {
		do(m, token, func(_ http.ResponseWriter, r *http.Request) {
			if err := m.Destroy(r.Context()); err != nil {
				t.Error(err)
			}
		})
		err := m.RenewToken(r.Context())
		if !errors.Is(err, session.ErrGone) {
			t.Errorf("renewed: %v", err)
		}
		http.Error(w, "gone", http.StatusConflict)
	})
	if len(answer.Cookies()) != 0 {
		t.Errorf("cookies %v", answer.Cookies())
	}
	n := 0
	if err := m.Iterate(ctx, func(context.Context) error { n++; return nil }); err != nil || n != 0 {
		t.Errorf("%d sessions, %v", n, err)
	}
}

func TestTokenIsNotRenewedOnceTheResponseHasBegun(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	do(m, token, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := m.RenewToken(r.Context()); !errors.Is(err, session.ErrBegun) {
			t.Errorf("%v", err)
		}
	})
	if got := values(t, m, token); got != "map[a:1]" {
		t.Errorf("the session has %s", got)
	}
}

func TestSessionAfterDestroyIsAnotherOne(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		if err := m.Destroy(r.Context()); err != nil {
			t.Error(err)
		}
		m.Put(r.Context(), "b", 2)
	})
	if c := answer.Cookies(); len(c) != 1 || c[0].Value == token || values(t, m, c[0].Value) != "map[b:2]" {
		t.Errorf("cookies %v", c)
	}
}

func TestWithLastWinsTheSecondValueStays(t *testing.T) {
	m := newManager()
	m.SameKey = session.LastWins
	token := begin(t, m, map[string]any{"a": 1, "b": 1})
	answer := do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		do(m, token, func(_ http.ResponseWriter, r *http.Request) {
			m.Put(r.Context(), "a", 2)
			m.Remove(r.Context(), "b")
			m.Put(r.Context(), "c", 2)
		})
		m.Put(r.Context(), "a", 3)
	})
	if got := values(t, m, token); answer.StatusCode != http.StatusOK || got != "map[a:3 c:2]" {
		t.Errorf("%d, %s", answer.StatusCode, got)
	}
}

func TestManyRequestsOfOneSessionLoseNoKey(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"first": true})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				k := fmt.Sprintf("k%d.%d", i, j)
				if a := do(m, token, put(m, k, j)); a.StatusCode != http.StatusOK {
					t.Errorf("%s: %d", k, a.StatusCode)
				}
			}
		})
	}
	all.Wait()
	do(m, token, func(_ http.ResponseWriter, r *http.Request) {
		if n := len(m.Keys(r.Context())); n != 161 {
			t.Errorf("%d keys, want 161", n)
		}
	})
}

// A context that saves twice must not take what others saved in between for
// something that it has removed.
func TestSecondCommitKeepsWhatOthersSaved(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	c, err := m.Load(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		do(m, token, put(m, fmt.Sprint("other", i), i))
		m.Put(c, fmt.Sprint("mine", i), i)
		if _, _, err := m.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
	want := "map[a:1 mine0:0 mine1:1 mine2:2 other0:0 other1:1 other2:2]"
	if got := values(t, m, token); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The embedded manager of scs knows no versions, so it may read and not write.
func TestContextOfScsAloneSavesNothing(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	c, err := m.SessionManager.Load(ctx, token)
	if err != nil || m.GetInt(c, "a") != 1 {
		t.Fatal(err)
	}
	m.Put(c, "a", 2)
	if _, _, err := m.Commit(c); err == nil || !strings.Contains(err.Error(), "Load") {
		t.Errorf("commit: %v", err)
	}
	if got := values(t, m, token); got != "map[a:1]" {
		t.Errorf("the session has %s", got)
	}
}

func TestSessionIsSavedThoughTheClientHasLeft(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	leaving, leave := context.WithCancel(ctx)
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(leaving)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "a", 2)
		leave()
	})).ServeHTTP(httptest.NewRecorder(), r)
	if got := values(t, m, token); got != "map[a:2]" {
		t.Errorf("the session has %s", got)
	}
}

func TestDeadlineThatIsOverEndsTheSession(t *testing.T) {
	m := newManager()
	token := begin(t, m, map[string]any{"a": 1})
	do(m, token, func(_ http.ResponseWriter, r *http.Request) { m.SetDeadline(r.Context(), time.Now().Add(-time.Second)) })
	if got := values(t, m, token); got != "map[]" {
		t.Errorf("the session has %s", got)
	}
}

// A token that somebody made up makes nothing in the store.
func TestExclusiveLocksNothingForAMadeUpToken(t *testing.T) {
	shared := newStore()
	m := session.New(shared)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: strings.Repeat("a", 43)})
	w := httptest.NewRecorder()
	m.Exclusive(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if st, err := shared.Stats(ctx); err != nil || st.Locks != 0 || st.Entries != 0 {
			t.Errorf("%+v, %v", st, err)
		}
	})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Error(w.Code)
	}
}

func TestRenewalUnderALockThatWasLostIsRefused(t *testing.T) {
	shared := newStore()
	m := session.New(shared)
	token := begin(t, m, map[string]any{"a": 1})
	keys, _, err := shared.Scan(ctx, 0, 1<<20)
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	m.LockTTL = time.Millisecond
	m.Exclusive(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		taken, err := shared.Lock(ctx, keys[0], 0) // as another request does once the time is over
		if err != nil {
			t.Fatal(err)
		}
		if err := m.RenewToken(r.Context()); !errors.Is(err, store.ErrFenced) {
			t.Errorf("renewed: %v", err)
		}
		if err := shared.Unlock(ctx, taken); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if got := values(t, m, token); got != "map[a:1]" {
		t.Errorf("the session has %s", got)
	}
}

func TestKeyAndPrefixKeepSessionsApart(t *testing.T) {
	shared := newStore()
	a, b := session.New(shared), session.New(shared, session.Key([]byte("secret")), session.Prefix("b/"))
	token := begin(t, a, map[string]any{"a": 1})
	if got := values(t, b, token); got != "map[]" {
		t.Errorf("another key finds %s", got)
	}
	n := 0
	if err := b.Iterate(ctx, func(context.Context) error { n++; return nil }); err != nil || n != 0 {
		t.Errorf("%d sessions of another prefix, %v", n, err)
	}
}

// What Iterate has for a token is not taken for one from outside.
func TestKeyOfTheStoreIsNoToken(t *testing.T) {
	shared := newStore()
	m := session.New(shared, session.Prefix(""))
	key := strings.Repeat("k", 39)
	if _, err := shared.Set(ctx, key, []byte(`{"deadline":"2100-01-01T00:00:00Z","values":{"a":1}}`), store.Write{}); err != nil {
		t.Fatal(err)
	}
	c, err := m.Load(ctx, "key="+key)
	if err != nil || m.Exists(c, "a") {
		t.Errorf("loaded: %v", err)
	}
}
