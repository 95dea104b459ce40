package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/worker/session"
)

// faulty fails one of its operations, counted from 0; a store of a network does
// so before, or after, it was carried out.
type faulty struct {
	store.Store
	at    int
	after bool
	calls int
}

func (f *faulty) fails() bool {
	f.calls++
	return f.calls-1 == f.at
}

// operation runs an operation, or not, and gives its error.
func (f *faulty) operation(run func() error) error {
	fails := f.fails()
	if fails && !f.after {
		return store.ErrUnavailable
	}
	err := run()
	if fails {
		return store.ErrUnavailable
	}
	return err
}

func (f *faulty) Get(ctx context.Context, key string) (e store.Entry, found bool, err error) {
	err = f.operation(func() (err error) { e, found, err = f.Store.Get(ctx, key); return err })
	return e, found, err
}

func (f *faulty) Set(ctx context.Context, key string, value []byte, w store.Write) (version uint64, err error) {
	err = f.operation(func() (err error) { version, err = f.Store.Set(ctx, key, value, w); return err })
	return version, err
}

func (f *faulty) Delete(ctx context.Context, key string, version uint64) (found bool, err error) {
	err = f.operation(func() (err error) { found, err = f.Store.Delete(ctx, key, version); return err })
	return found, err
}

func (f *faulty) Touch(ctx context.Context, key string, ttl time.Duration) (found bool, err error) {
	err = f.operation(func() (err error) { found, err = f.Store.Touch(ctx, key, ttl); return err })
	return found, err
}

func (f *faulty) Lock(ctx context.Context, name string, ttl time.Duration) (t store.Token, err error) {
	err = f.operation(func() (err error) { t, err = f.Store.Lock(ctx, name, ttl); return err })
	return t, err
}

func (f *faulty) Unlock(ctx context.Context, t store.Token) error {
	return f.operation(func() error { return f.Store.Unlock(ctx, t) })
}

func (f *faulty) Renew(ctx context.Context, t store.Token, ttl time.Duration) error {
	return f.operation(func() error { return f.Store.Renew(ctx, t, ttl) })
}

// visits are what handlers do, and what a session with a cart of 1 may have then:
// under its old token, and under that of the answer.
var visits = map[string]struct {
	do  func(*session.Manager, context.Context) error
	old []string
	now string // "": the answer has no cookie
}{
	"read": {func(m *session.Manager, c context.Context) error {
		m.GetInt(c, "cart")
		return nil
	}, []string{"map[cart:1]"}, ""},
	"write": {func(m *session.Manager, c context.Context) error {
		m.Put(c, "cart", 2)
		return nil
	}, []string{"map[cart:1]", "map[cart:2]"}, ""},
	"login": {func(m *session.Manager, c context.Context) error {
		if err := m.RenewToken(c); err != nil {
			return err
		}
		m.Put(c, "user", "ada")
		return nil
	}, []string{"map[cart:1]", "map[]"}, "map[cart:1 user:ada]"},
	"logout": {func(m *session.Manager, c context.Context) error { return m.Destroy(c) }, []string{"map[cart:1]", "map[]"}, ""},
}

// An error of the store at any point is answered 503, sets no cookie, and leaves
// what was there before or what was to be there after.
func TestErrorOfTheStoreAtAnyPointLeavesBeforeOrAfter(t *testing.T) {
	for name, visit := range visits {
		for _, alone := range []bool{false, true} {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s exclusive=%v after=%v", name, alone, after), func(t *testing.T) {
					for at := 0; ; at++ {
						shared := newStore()
						m := session.New(shared)
						token := begin(t, m, map[string]any{"cart": 1})
						f := &faulty{Store: shared, at: at, after: after}
						half := session.New(f)
						half.IdleTimeout = time.Minute // less than the session has: it is touched
						wrap := half.LoadAndSave
						if alone {
							wrap = half.Exclusive
						}
						r := httptest.NewRequest(http.MethodGet, "/", nil)
						r.AddCookie(&http.Cookie{Name: "session", Value: token})
						w := httptest.NewRecorder()
						wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if err := visit.do(half, r.Context()); err != nil {
								half.ErrorFunc(w, r, err)
								return
							}
							_, _ = fmt.Fprint(w, "the handler's")
						})).ServeHTTP(w, r)
						answer := w.Result()
						if f.calls <= at {
							if answer.StatusCode != http.StatusOK || at == 0 {
								t.Errorf("without an error: %s after %d operations", answer.Status, at)
							}
							return
						}
						old := values(t, m, token)
						switch {
						case answer.StatusCode == http.StatusOK: // the unlock: it was all done
							if !alone || at != f.calls-1 {
								t.Errorf("error %d of %d is not said", at, f.calls)
							}
						case answer.StatusCode != http.StatusServiceUnavailable || len(answer.Cookies()) > 0 || w.Body.String() == "the handler's":
							t.Errorf("error %d: %s, %v, %q", at, answer.Status, answer.Cookies(), w.Body)
						case old != visit.old[0] && (!after || old != visit.old[len(visit.old)-1]):
							t.Errorf("error %d: the session has %s", at, old)
						}
						if cookies := answer.Cookies(); len(cookies) == 1 && visit.now != "" {
							if got := values(t, m, cookies[0].Value); got != visit.now {
								t.Errorf("error %d: the new session has %s", at, got)
							}
						}
					}
				})
			}
		}
	}
}
