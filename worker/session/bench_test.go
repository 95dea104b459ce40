package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"prefork/ipc/store"
	"prefork/worker/session"
)

// discard is the cheapest ResponseWriter.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// What sessions add to a request, without the server around it.
func BenchmarkSession(b *testing.B) {
	for name, handler := range map[string]func(*session.Manager) http.HandlerFunc{
		"none": nil,
		"read": func(m *session.Manager) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(m.GetString(r.Context(), "user")))
			}
		},
		"write": func(m *session.Manager) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				m.Put(r.Context(), "n", m.GetInt(r.Context(), "n")+1)
				_, _ = w.Write([]byte(m.GetString(r.Context(), "user")))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := store.Private(store.Config{Size: 4 << 20})
			defer func() { _ = s.Close() }()
			m := session.New(s)
			w := httptest.NewRecorder()
			m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				m.Put(r.Context(), "user", "ada")
				m.Put(r.Context(), "n", 0)
			})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			for _, c := range w.Result().Cookies() {
				r.AddCookie(c)
			}
			h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ada")) }))
			if handler != nil {
				h = m.LoadAndSave(handler(m))
			}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}
