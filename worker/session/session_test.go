package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
	"prefork/worker/session"
)

var ctx = context.Background()

// site is a server with sessions, and what its handlers wait for.
type site struct {
	*httptest.Server
	m      *session.Manager
	shared store.Store
	enter  chan string   // a slow handler says that it has loaded the session
	goOn   chan struct{} // and waits for this
}

// newStore makes what sessions are kept in: the embedded store, and the model
// of all of them in TestSessionsOverTheModelOfAStore.
var newStore = func() store.Store { return store.Private(store.Config{Size: 4 << 20}) }

func TestSessionsOverTheModelOfAStore(t *testing.T) {
	embedded := newStore
	newStore = func() store.Store { return storetest.NewModel() }
	defer func() { newStore = embedded }()
	for name, test := range map[string]func(*testing.T){
		"next request": TestSessionIsSeenByTheNextRequest, "merge": TestRequestsThatChangeDifferentKeysKeepBoth,
		"conflict": TestRequestsThatChangeOneKeyConflict, "ended": TestEndedSessionIsNotWrittenBack,
		"renew merges": TestRenewedSessionKeepsWhatOthersSaved, "renew ended": TestEndedSessionIsNotRenewed,
		"exclusive": TestExclusiveLosesNoUpdate, "lost lock": TestRequestThatLostItsLockSavesNothing, "iterate": TestIterateMeetsEverySession,
	} {
		t.Run(name, test)
	}
}

func serve(t *testing.T, set func(*session.Manager), exclusive bool) *site {
	t.Helper()
	s := &site{shared: newStore(), enter: make(chan string, 10), goOn: make(chan struct{}, 10)}
	s.m = session.New(s.shared)
	if set != nil {
		set(s.m)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		s.m.Put(r.Context(), r.FormValue("k"), r.FormValue("v"))
		fmt.Fprint(w, "ok")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		s.enter <- s.m.GetString(r.Context(), r.FormValue("k"))
		<-s.goOn
		if k := r.FormValue("k"); k != "" {
			s.m.Put(r.Context(), k, r.FormValue("v"))
		}
		fmt.Fprint(w, "ok")
	})
	mux.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, s.m.GetString(r.Context(), r.FormValue("k")))
	})
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n := s.m.GetInt(r.Context(), "n") + 1
		s.m.Put(r.Context(), "n", n)
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := s.m.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		s.m.Put(r.Context(), "user", "ada")
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := s.m.Destroy(r.Context()); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/flush", func(w http.ResponseWriter, r *http.Request) {
		s.m.Put(r.Context(), "k", "v")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, "ok")
	})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) {
		s.m.Put(r.Context(), "k", struct{}{})
		fmt.Fprint(w, "the handler's answer")
	})
	h := s.m.LoadAndSave(mux)
	if exclusive {
		h = s.m.Exclusive(mux)
	}
	s.Server = httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

// get gives the status, the cookie that was set and the body.
func (s *site) get(t *testing.T, c *http.Client, path string) (status int, cookie, body string) {
	t.Helper()
	r, err := c.Get(s.URL + path)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return r.StatusCode, r.Header.Get("Set-Cookie"), string(b)
}

func (s *site) want(t *testing.T, c *http.Client, path, want string) (cookie string) {
	t.Helper()
	status, cookie, body := s.get(t, c, path)
	if status != http.StatusOK || body != want {
		t.Errorf("%s: %d %q, want %q", path, status, body, want)
	}
	return cookie
}

func TestSessionIsSeenByTheNextRequest(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	cookie := s.want(t, c, "/put?k=a&v=1", "ok")
	for _, part := range []string{"session=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("cookie %q has no %s", cookie, part)
		}
	}
	if cookie := s.want(t, c, "/get?k=a", "1"); cookie != "" {
		t.Errorf("a session that did not change sets %q", cookie)
	}
	if cookie := s.want(t, c, "/put?k=a&v=2", "ok"); cookie != "" {
		t.Errorf("a session whose cookie the client has sets %q", cookie)
	}
	s.want(t, c, "/get?k=a", "2")
	s.want(t, client(t), "/get?k=a", "")
}

// The name by which a request came says nothing: a proxy on the same machine
// sends "127.0.0.1:8080" for all of the world.
func TestCookieIsSecureWhateverTheHost(t *testing.T) {
	m := session.New(store.Private(store.Config{Size: 1 << 20}))
	h := m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "a", 1) }))
	for _, host := range []string{"example.com", "localhost", "127.0.0.1:80", "[::1]:80"} {
		for _, secure := range []bool{true, false} {
			m.Cookie.Secure = secure
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := strings.Contains(w.Header().Get("Set-Cookie"), "Secure"); got != secure {
				t.Errorf("%s: %q", host, w.Header().Get("Set-Cookie"))
			}
		}
	}
}

func TestStoreHoldsNoToken(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	cookie := s.want(t, c, "/put?k=a&v=1", "ok")
	token, _, _ := strings.Cut(strings.TrimPrefix(cookie, "session="), ";")
	keys, _, err := s.shared.Scan(ctx, 0, 1<<20)
	if err != nil || len(keys) != 1 || len(token) != 43 {
		t.Fatalf("%q, %v, token %q", keys, err, token)
	}
	e, _, err := s.shared.Get(ctx, keys[0])
	if err != nil || strings.Contains(keys[0], token) || bytes.Contains(e.Value, []byte(token)) {
		t.Errorf("%q: %s, %v", keys[0], e.Value, err)
	}
	if !strings.HasPrefix(string(e.Value), `{"deadline":"`) || !strings.HasSuffix(string(e.Value), `","values":{"a":"1"}}`) {
		t.Errorf("the session is %s", e.Value)
	}
}

func TestForeignTokensAreNeverAdopted(t *testing.T) {
	s := serve(t, nil, false)
	for _, token := range []string{"x", strings.Repeat("a", 43), strings.Repeat("a", 44), "session/" + strings.Repeat("a", 35), strings.Repeat("%", 43), strings.Repeat("a", 100000)} {
		r, _ := http.NewRequest(http.MethodGet, s.URL+"/put?k=a&v=1", nil)
		r.Header.Set("Cookie", "session="+token)
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK && strings.Contains(answer.Header.Get("Set-Cookie"), token+";") {
			t.Errorf("token %.20q was adopted: %d %q", token, answer.StatusCode, answer.Header.Get("Set-Cookie"))
		}
	}
}

func TestRequestsThatChangeDifferentKeysKeepBoth(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	s.want(t, c, "/put?k=a&v=1", "ok")
	var slow sync.WaitGroup
	slow.Go(func() { s.want(t, c, "/slow?k=b&v=2", "ok") })
	<-s.enter
	s.want(t, c, "/put?k=c&v=3", "ok")
	s.goOn <- struct{}{}
	slow.Wait()
	for k, v := range map[string]string{"a": "1", "b": "2", "c": "3"} {
		s.want(t, c, "/get?k="+k, v)
	}
}

func TestRequestsThatChangeOneKeyConflict(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	s.want(t, c, "/put?k=a&v=1", "ok")
	var slow sync.WaitGroup
	slow.Go(func() {
		if status, _, body := s.get(t, c, "/slow?k=a&v=2"); status != http.StatusConflict || !strings.Contains(body, "try again") {
			t.Errorf("%d %q", status, body)
		}
	})
	<-s.enter
	s.want(t, c, "/put?k=a&v=3", "ok")
	s.goOn <- struct{}{}
	slow.Wait()
	s.want(t, c, "/get?k=a", "3")
}

func TestEndedSessionIsNotWrittenBack(t *testing.T) {
	for _, end := range []string{"/logout", "/login"} {
		s, c := serve(t, nil, false), client(t)
		s.want(t, c, "/put?k=a&v=secret", "ok")
		old := c.Jar
		other := &http.Client{Jar: keep(t, s, old)}
		var slow sync.WaitGroup
		slow.Go(func() {
			status, cookie, body := s.get(t, other, "/slow?k=b&v=2")
			if status != http.StatusConflict || cookie != "" {
				t.Errorf("%s: the request that lost its session is told %d %q, cookie %q", end, status, body, cookie)
			}
		})
		<-s.enter
		s.want(t, c, end, "")
		s.goOn <- struct{}{}
		slow.Wait()
		s.want(t, other, "/get?k=a", "")
		s.want(t, other, "/get?k=b", "")
		if end == "/login" {
			s.want(t, c, "/get?k=a", "secret")
			s.want(t, c, "/get?k=user", "ada")
		}
	}
}

// keep gives a jar with the cookies of another one, of this moment.
func keep(t *testing.T, s *site, jar http.CookieJar) http.CookieJar {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	copied.SetCookies(r.URL, jar.Cookies(r.URL))
	return copied
}

func TestExclusiveLosesNoUpdate(t *testing.T) {
	s, c := serve(t, nil, true), client(t)
	s.want(t, c, "/count", "1")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, _, body := s.get(t, c, "/count"); status != http.StatusOK {
				t.Errorf("%d %q", status, body)
			}
		})
	}
	all.Wait()
	s.want(t, c, "/count", "22")
	if st, err := s.shared.Stats(ctx); err != nil || st.Locks != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestExclusiveWaitsNoLongerThanItMay(t *testing.T) {
	s, c := serve(t, func(m *session.Manager) { m.LockWait = 20 * time.Millisecond }, true), client(t)
	s.want(t, c, "/put?k=a&v=1", "ok")
	var slow sync.WaitGroup
	slow.Go(func() { s.want(t, c, "/slow?k=a&v=2", "ok") })
	<-s.enter
	if status, _, _ := s.get(t, c, "/get?k=a"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	s.want(t, client(t), "/get?k=a", "") // others do not wait
	s.goOn <- struct{}{}
	slow.Wait()
}

func TestRequestThatLostItsLockSavesNothing(t *testing.T) {
	s, c := serve(t, func(m *session.Manager) { m.LockTTL = 20 * time.Millisecond }, true), client(t)
	s.want(t, c, "/put?k=a&v=1", "ok")
	var slow sync.WaitGroup
	slow.Go(func() {
		if status, _, _ := s.get(t, c, "/slow?k=b&v=2"); status != http.StatusConflict {
			t.Errorf("status %d", status)
		}
	})
	<-s.enter
	s.want(t, c, "/put?k=c&v=3", "ok") // after the lock's end
	s.goOn <- struct{}{}
	slow.Wait()
	s.want(t, c, "/get?k=b", "")
}

func TestIdleTimeoutMovesWithoutAWrite(t *testing.T) {
	s, c := serve(t, func(m *session.Manager) { m.IdleTimeout = time.Hour }, false), client(t)
	s.want(t, c, "/put?k=a&v=1", "ok")
	before, err := s.shared.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if cookie := s.want(t, c, "/get?k=a", "1"); cookie != "" {
			t.Errorf("sets %q", cookie)
		}
	}
	if after, err := s.shared.Stats(ctx); err != nil || after.Sets != before.Sets {
		t.Errorf("%d writes of an unchanged session, %v", after.Sets-before.Sets, err)
	}
	// Once it has a good deal less than its hour it gets it back.
	keys, _, _ := s.shared.Scan(ctx, 0, 1<<20)
	if _, err := s.shared.Touch(ctx, keys[0], 30*time.Minute); err != nil {
		t.Fatal(err)
	}
	s.want(t, c, "/get?k=a", "1")
	if e, _, err := s.shared.Get(ctx, keys[0]); err != nil || e.TTL < 59*time.Minute {
		t.Errorf("%v left, %v", e.TTL, err)
	}
}

func TestFlushSendsTheCookie(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	if cookie := s.want(t, c, "/flush", "ok"); cookie == "" {
		t.Error("no cookie")
	}
	s.want(t, c, "/get?k=k", "v")
}

func TestErrorIsTheWholeAnswer(t *testing.T) {
	s, c := serve(t, nil, false), client(t)
	if status, cookie, body := s.get(t, c, "/bad"); status != http.StatusInternalServerError || cookie != "" || body != "Internal Server Error\n" {
		t.Errorf("%d %q %q", status, cookie, body)
	}
}

func TestStoreThatFailsIsSaidWithAStatus(t *testing.T) {
	for err, want := range map[error]int{store.ErrUnavailable: 503, store.ErrBusy: 503, errors.New("other"): 500} {
		m := session.New(store.Failed(fmt.Errorf("get: %w", err)))
		h := m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "handler") }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: strings.Repeat("a", 43)})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || strings.Contains(w.Body.String(), "handler") {
			t.Errorf("%v: %d %q", err, w.Code, w.Body)
		}
	}
}

func TestIterateMeetsEverySession(t *testing.T) {
	s := serve(t, nil, false)
	for i := range 5 {
		s.want(t, client(t), fmt.Sprintf("/put?k=a&v=%d", i), "ok")
	}
	seen := make(map[string]bool)
	err := s.m.Iterate(ctx, func(ctx context.Context) error {
		v := s.m.GetString(ctx, "a")
		seen[v] = true
		if v == "2" {
			return s.m.Destroy(ctx)
		}
		s.m.Put(ctx, "b", "new")
		_, _, err := s.m.Commit(ctx)
		return err
	})
	if err != nil || len(seen) != 5 {
		t.Fatalf("%v, %v", seen, err)
	}
	n := 0
	if err := s.m.Iterate(ctx, func(ctx context.Context) error {
		if n++; s.m.GetString(ctx, "b") != "new" {
			t.Error("not saved")
		}
		return nil
	}); err != nil || n != 4 {
		t.Errorf("%d sessions, %v", n, err)
	}
}
