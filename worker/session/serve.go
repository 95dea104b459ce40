package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// LoadAndSave is middleware: it loads the session that the request's cookie
// names and saves it, if it changed, before the first byte of the answer goes
// out.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, _ := m.arrive(r.Context())
		m.serve(w, r.WithContext(ctx), next)
	})
}

// Exclusive is LoadAndSave for one request of a session at a time, over all
// workers: a second one waits until the first has been answered. Requests
// without a session do not wait. The lock is released when its worker dies.
func (m *Manager) Exclusive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, v := m.arrive(r.Context())
		token := m.tokenOf(r)
		if token != "" && v.lock == (store.Token{}) {
			wait, cancel := context.WithTimeout(ctx, m.LockWait)
			lock, err := m.table.store.Lock(wait, m.table.keyOf(v, token), m.LockTTL)
			cancel()
			if err != nil {
				m.ErrorFunc(w, r, err)
				return
			}
			v.lock = lock
			// Also when the handler panics, and although the client may have
			// left. A lock that is held no more needs no release.
			defer func() { _ = m.table.store.Unlock(context.WithoutCancel(ctx), lock) }()
		}
		m.serve(w, r.WithContext(ctx), next)
	})
}

// tokenOf gives the token that a request's cookie has, or "".
func (m *Manager) tokenOf(r *http.Request) string {
	c, err := r.Cookie(m.Cookie.Name)
	if err != nil || !isToken(c.Value) {
		return ""
	}
	return c.Value
}

func (m *Manager) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.Header().Add("Vary", "Cookie")
	ctx, err := m.Load(r.Context(), m.tokenOf(r))
	if err != nil {
		m.ErrorFunc(w, r, err)
		return
	}
	a := &answerer{ResponseWriter: w, m: m, r: r.WithContext(ctx)}
	next.ServeHTTP(a, a.r)
	a.save()
}

// answerer saves the session before the headers go.
type answerer struct {
	http.ResponseWriter
	m      *Manager
	r      *http.Request
	saved  bool
	failed bool // the answer is ErrorFunc's: the handler's is dropped
}

// save commits the session and sets the cookie, once.
func (a *answerer) save() {
	if a.saved {
		return
	}
	a.saved = true
	ctx := a.r.Context()
	switch a.m.Status(ctx) {
	case scs.Modified:
		token, _, err := a.m.Commit(ctx)
		switch {
		case errors.Is(err, errGone):
		case err != nil:
			a.failed = true
			a.m.ErrorFunc(a.ResponseWriter, a.r, err)
		case a.m.table.visitOf(ctx).wrote:
			// The browser keeps it until the session's end; an idle timeout
			// is kept here.
			a.cookie(ctx, token, a.m.Deadline(ctx))
		}
	case scs.Destroyed:
		a.cookie(ctx, "", time.Time{})
	}
}

// cookie writes the cookie; it is not Secure where no browser could send it
// back: to localhost without TLS.
func (a *answerer) cookie(ctx context.Context, token string, expiry time.Time) {
	header := a.ResponseWriter.Header()
	before := len(header["Set-Cookie"])
	a.m.WriteSessionCookie(ctx, a.ResponseWriter, token, expiry)
	if a.r.TLS != nil || !isLocal(a.r.Host) || !a.m.Cookie.Secure {
		return
	}
	for i, c := range header["Set-Cookie"][before:] {
		header["Set-Cookie"][before+i] = strings.Replace(c, "; Secure", "", 1)
	}
}

// isLocal says whether a Host header names this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// Write implements io.Writer.
func (a *answerer) Write(b []byte) (int, error) {
	a.save()
	if a.failed {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// WriteHeader implements http.ResponseWriter. Informational answers go out
// before the session is saved.
func (a *answerer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		a.save()
	}
	if !a.failed {
		a.ResponseWriter.WriteHeader(status)
	}
}

// ReadFrom implements io.ReaderFrom, so that files can be sent by the kernel.
func (a *answerer) ReadFrom(from io.Reader) (int64, error) {
	a.save()
	if a.failed {
		return io.Copy(io.Discard, from)
	}
	return io.Copy(a.ResponseWriter, from)
}

// Flush implements http.Flusher.
func (a *answerer) Flush() { _ = a.FlushError() }

// FlushError is what http.ResponseController calls.
func (a *answerer) FlushError() error {
	a.save()
	if a.failed {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack saves the session; its cookie is the hijacker's to send.
func (a *answerer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.save()
	if a.failed {
		return nil, nil, fmt.Errorf("hijack: the session could not be saved")
	}
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (a *answerer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
