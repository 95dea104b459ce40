package session_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
	"prefork/worker/session"
)

// onEveryStore runs a test on each kind of store that sessions can be in.
func onEveryStore(t *testing.T, run func(t *testing.T, shared store.Store)) {
	t.Helper()
	for name, open := range map[string]func(*testing.T) store.Store{
		"embedded": func(*testing.T) store.Store { return store.Private(store.Config{Size: 8 << 20}) },
		"model":    func(*testing.T) store.Store { return storetest.NewModel() },
		"redis":    openRedis,
	} {
		t.Run(name, func(t *testing.T) {
			shared := open(t)
			t.Cleanup(func() { _ = shared.Close() })
			run(t, shared)
		})
	}
}

// openRedis starts a redis-server of the test's own, on a Unix socket.
func openRedis(t *testing.T) store.Store {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("missing: redis-server")
	}
	socket := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--daemonize", "no")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait() // killed
	})
	ready := make(chan bool, 1)
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "eady to accept connections") || strings.Contains(lines.Text(), "is now ready") {
				select {
				case ready <- true:
				default: // it says so once for each socket
				}
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("redis-server is not ready")
	}
	s, err := redis.Open(ctx, "unix://"+socket)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoginIsOneOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		// Two managers are two workers: they share the store alone.
		a, b := session.New(shared), session.New(shared)
		visitor := begin(t, a, map[string]any{"cart": 2})
		answer := do(b, visitor, func(_ http.ResponseWriter, r *http.Request) {
			do(a, visitor, put(a, "seen", true)) // saved while the login runs
			if err := b.RenewToken(r.Context()); err != nil {
				t.Error(err)
			}
			b.Put(r.Context(), "user", "ada")
		})
		if len(answer.Cookies()) != 1 {
			t.Fatalf("cookies %v", answer.Cookies())
		}
		user := answer.Cookies()[0].Value
		if got := values(t, a, user); got != "map[cart:2 seen:true user:ada]" {
			t.Errorf("the other worker sees %s", got)
		}
		if got := values(t, a, visitor); got != "map[]" {
			t.Errorf("the old token has %s", got)
		}
		late := do(a, user, func(_ http.ResponseWriter, r *http.Request) {
			do(b, user, func(_ http.ResponseWriter, r *http.Request) {
				if err := b.Destroy(r.Context()); err != nil {
					t.Error(err)
				}
			})
			a.Put(r.Context(), "cart", 3)
		})
		if late.StatusCode != http.StatusConflict || len(late.Cookies()) != 0 {
			t.Errorf("a request saved into a session that has ended: %d, %v", late.StatusCode, late.Cookies())
		}
		if got := values(t, b, user); got != "map[]" {
			t.Errorf("after the logout: %s", got)
		}
	})
}

// Two that count from 5 both say 6: equal values are no agreement.
func TestTwoThatCountAtATimeDoNotCountAsOne(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		token := begin(t, m, map[string]any{"n": 5})
		answer := do(m, token, func(w http.ResponseWriter, r *http.Request) {
			do(m, token, add(m)) // while this one runs
			add(m)(w, r)
		})
		if got := values(t, m, token); answer.StatusCode != http.StatusConflict || got != "map[n:6]" {
			t.Errorf("answered %d, and the session has %s", answer.StatusCode, got)
		}
	})
}

func TestWhatCanBeTakenOnceIsTakenOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		token := begin(t, m, map[string]any{"code": "x"})
		take := func(_ http.ResponseWriter, r *http.Request) { m.PopString(r.Context(), "code") }
		first := http.StatusOK
		second := do(m, token, func(w http.ResponseWriter, r *http.Request) {
			first = do(m, token, take).StatusCode
			take(w, r)
		})
		if first != http.StatusOK || second.StatusCode != http.StatusConflict {
			t.Errorf("answered %d and %d", first, second.StatusCode)
		}
	})
}

// A browser sends the login twice (a double click). One of them wins, and
// nobody is left with two sessions.
func TestTokenRenewedTwiceLeavesOneSession(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		token := begin(t, m, map[string]any{"cart": 2})
		login := func(user string, within func()) *http.Response {
			return do(m, token, func(w http.ResponseWriter, r *http.Request) {
				within()
				if err := m.RenewToken(r.Context()); err != nil {
					m.ErrorFunc(w, r, err)
					return
				}
				m.Put(r.Context(), "user", user)
			})
		}
		second := login("second", func() {
			if first := login("first", func() {}); first.StatusCode != http.StatusOK || len(first.Cookies()) != 1 {
				t.Errorf("the first: %d, %v", first.StatusCode, first.Cookies())
			}
		})
		if second.StatusCode != http.StatusConflict || len(second.Cookies()) != 0 {
			t.Errorf("the second: %d, %v", second.StatusCode, second.Cookies())
		}
		n := 0
		err := m.Iterate(ctx, func(c context.Context) error {
			n++
			if user := m.GetString(c, "user"); user != "first" {
				t.Errorf("the session is of %q", user)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%d sessions, %v", n, err)
		}
	})
}

func TestExclusiveCountsEveryRequestOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		workers := []*session.Manager{session.New(shared), session.New(shared)}
		token := begin(t, workers[0], map[string]any{"n": 0})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for range 5 {
					if err := exclusive(workers[i%2], token, add(workers[i%2])); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := values(t, workers[0], token); got != "map[n:20]" {
			t.Errorf("counted %s, want 20", got)
		}
		if st, err := shared.Stats(ctx); err != nil || st.Locks > 0 {
			t.Errorf("%d locks are left, %v", st.Locks, err)
		}
	})
}

func TestPanicSavesNothingAndFreesTheSession(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		token := begin(t, m, map[string]any{"n": 1})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was kept from the server")
				}
			}()
			_ = exclusive(m, token, func(_ http.ResponseWriter, r *http.Request) {
				m.Put(r.Context(), "n", 100)
				panic(http.ErrAbortHandler)
			})
		}()
		m.LockWait = 20 * time.Second // far below LockTTL
		if err := exclusive(m, token, add(m)); err != nil {
			t.Error(err)
		}
		if got := values(t, m, token); got != "map[n:2]" {
			t.Errorf("the session has %s", got)
		}
	})
}

func TestSessionAboveTheLimitIsRefusedAndStays(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		var said error
		m.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
			said = err
			w.WriteHeader(http.StatusInternalServerError)
		}
		token := begin(t, m, map[string]any{"n": 1})
		answer := do(m, token, put(m, "n", strings.Repeat("x", store.MaxValue)))
		if answer.StatusCode != http.StatusInternalServerError || !errors.Is(said, store.ErrTooLarge) || !strings.Contains(said.Error(), "max 1048576") {
			t.Errorf("%d, %v", answer.StatusCode, said)
		}
		if got := values(t, m, token); got != "map[n:1]" {
			t.Errorf("the session has %.100s", got)
		}
	})
}

func TestIdleSessionEndsInEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, shared store.Store) {
		m := session.New(shared)
		m.IdleTimeout = 200 * time.Millisecond
		token := begin(t, m, map[string]any{"n": 1})
		deadline := time.Now().Add(20 * time.Second)
		for n := 1; n > 0; {
			if time.Now().After(deadline) {
				t.Fatal("the session does not end")
			}
			// Looking at the store is no use of the session.
			n = 0
			if err := m.Iterate(ctx, func(context.Context) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if got := values(t, m, token); got != "map[]" {
			t.Errorf("the session has %s", got)
		}
	})
}

// With HTTP/2 the requests of one connection run at a time.
func TestSessionsOverHTTP2(t *testing.T) {
	m := newManager()
	begun, goOn := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "slow", true)
		close(begun)
		<-goOn
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/quick", func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "quick", r.ProtoMajor) })
	s := httptest.NewUnstartedServer(m.LoadAndSave(mux))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	token := begin(t, m, map[string]any{"n": 1})
	ask := func(path string) {
		r, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
			t.Errorf("%s: %s over %s", path, answer.Status, answer.Proto)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { ask("/slow") })
	<-begun
	ask("/quick")
	close(goOn)
	all.Wait()
	if got := values(t, m, token); got != "map[n:1 quick:2 slow:true]" {
		t.Errorf("the session has %s", got)
	}
}
