package worker

import (
	"io"
	"net/http"
	"time"
)

// progressBodies gives the reading of a request's body a deadline that moves
// on with each part that comes. It is off before and after: the time that a
// handler takes is its own, and net/http's background read, which notices
// that a client has gone, must not run into it.
func progressBodies(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &progressBody{ReadCloser: r.Body, rc: http.NewResponseController(rw)}
		}
		h.ServeHTTP(rw, r)
	})
}

// progressBody is used by one goroutine at a time, as any body is.
type progressBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	armed time.Time
	ended bool
}

func (b *progressBody) Read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	if t := time.Now(); t.Sub(b.armed) > time.Second {
		b.armed = t
		_ = b.rc.SetReadDeadline(t.Add(progressTimeout + time.Second)) // not supported: the body has no deadline
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.disarm()
	}
	return n, err
}

func (b *progressBody) Close() error {
	b.disarm()
	return b.ReadCloser.Close()
}

func (b *progressBody) disarm() {
	if !b.ended && !b.armed.IsZero() {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	b.ended = true
}
