package session

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// LoadAndSave makes the session of a request's cookie, or a new one, part of
// the request's context, and saves it, if it changed, before the first byte of
// the response goes out.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.visit(r.Context()) != nil {
			next.ServeHTTP(w, r) // inside another one
			return
		}
		m.newVisit(w, r).serve(m.cookie(r), next)
	})
}

func (m *Manager) newVisit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{Context: r.Context(), m: m, writer: w, request: r}
}

// cookie gives the token that a request brings, "" for anything else.
func (m *Manager) cookie(r *http.Request) string {
	for _, line := range r.Header["Cookie"] {
		for more := true; more; {
			var pair string
			pair, line, more = strings.Cut(line, ";")
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if name == m.Cookie.Name && wellFormed(value) {
				return value
			}
		}
	}
	return ""
}

func (v *visit) serve(token string, next http.Handler) {
	header := v.writer.Header()
	header["Vary"] = append(header["Vary"], "Cookie")
	ctx, err := v.load(token)
	if err != nil {
		v.m.ErrorFunc(v.writer, v.request, err)
		return
	}
	v.request = v.request.WithContext(ctx)
	next.ServeHTTP((*response)(v), v.request)
	if !v.begun.Load() {
		v.begin()
	}
}

// begin saves the session and adds its cookie to the header, which is about to
// be sent. When that fails the response is ErrorFunc's.
func (v *visit) begin() {
	ctx := v.request.Context()
	var err error
	switch v.m.Status(ctx) {
	case scs.Modified:
		err = v.save(ctx)
	case scs.Destroyed:
		v.m.WriteSessionCookie(ctx, v.writer, "", time.Time{}) // removes it
	}
	v.begun.Store(true)
	if err != nil {
		v.failed = err
		v.m.ErrorFunc(v.writer, v.request, err)
	}
}

// save commits, and sends a cookie when the client has another one.
func (v *visit) save(ctx context.Context) error {
	token, deadline, err := v.m.Commit(ctx)
	if err != nil {
		return err
	}
	if remember := v.m.remembers(ctx); token != v.sent || v.moved || remember != v.remember {
		v.m.WriteSessionCookie(ctx, v.writer, token, deadline)
	}
	return nil
}
