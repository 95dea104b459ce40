package demo_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/cmd/prefork/demo"
)

// fakeStore is a Store for tests: one value of it is what a pool shares.
type fakeStore struct {
	mu     sync.Mutex
	values map[string][]byte
	ttls   map[string]time.Duration
	counts map[string]int64
	err    error // what every call returns, when set
}

func newFakeStore() *fakeStore {
	return &fakeStore{values: map[string][]byte{}, ttls: map[string]time.Duration{}, counts: map[string]int64{}}
}

func (f *fakeStore) Get(key string) ([]byte, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.values[key]
	return v, ok, f.err
}

func (f *fakeStore) Set(key string, value []byte, ttl time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.values[key], f.ttls[key] = value, ttl
	}
	return f.err
}

func (f *fakeStore) Delete(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.values, key)
	return f.err
}

func (f *fakeStore) Add(key string, delta int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[key] += delta
	return f.counts[key], f.err
}

func (f *fakeStore) keys(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for key := range f.values {
		if strings.HasPrefix(key, prefix) {
			list = append(list, key)
		}
	}
	return list
}

// workerOf makes the site of one worker with globals of its own.
func workerOf(store demo.Store, slot int) *demo.Site {
	return demo.New(demo.Options{
		Worker:  demo.Worker{Slot: slot, PID: 1000 + slot, Generation: 1, Started: time.Now()},
		Globals: new(demo.Globals),
		Store:   store,
		Command: "prefork",
		Kill:    func() { panic("killed, and no test asked for it") },
	})
}

// visitor is a browser: it keeps cookies and can ask any worker.
type visitor struct {
	t       *testing.T
	cookies map[string]string
	header  http.Header // sent with each request
}

func newVisitor(t *testing.T) *visitor {
	return &visitor{t: t, cookies: map[string]string{}, header: http.Header{}}
}

func (v *visitor) send(h http.Handler, method, path, body string) *http.Response {
	v.t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, b)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, list := range v.header {
		r.Header[k] = list
	}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	answer := rec.Result()
	for _, c := range answer.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c.Value
		}
	}
	return answer
}

// ask sends a request that must be answered with 200, and decodes the answer into out.
func (v *visitor) ask(h http.Handler, method, path, body string, out any) {
	v.t.Helper()
	answer := v.send(h, method, path, body)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		v.t.Fatalf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		v.t.Fatalf("%s %s: %v in %q", method, path, err, text)
	}
}

type identity struct {
	Worker struct{ Slot, PID int }
	Global *struct{ Name string }
	IPC    *struct{ Name string }
}
