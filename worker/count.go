package worker

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"prefork/ipc/scoreboard"
)

// connKey is under what a request's context has its *conn.
type connKey struct{}

// hookContext lets a handler's request be told from its connection.
func (s *serving) hookContext() {
	theirs := s.srv.ConnContext
	s.srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if theirs != nil {
			ctx = theirs(ctx, nc)
		}
		if c := underlying(nc); c != nil {
			ctx = context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
}

// counted calls h, and says so in this process' cell. A connection of HTTP/1
// has one request at a time and keeps its account, so that a hijack ends it.
// One of HTTP/2 has many: there each request says for itself when it advances,
// since the connection's bytes are those of pings, too.
func (w *Worker) counted(h http.Handler, rw http.ResponseWriter, r *http.Request) {
	if w.cell == nil {
		h.ServeHTTP(rw, r)
		return
	}
	if r.ProtoMajor < 2 {
		c, _ := r.Context().Value(connKey{}).(*conn)
		// One that serves already was hijacked, and is served by a server
		// inside that request's handler.
		if c != nil && c.serving.CompareAndSwap(false, true) {
			c.request.Begin(w.cell, r.Method, shown(r), r.RemoteAddr)
			defer c.endRequest()
			h.ServeHTTP(rw, r)
			return
		}
	}
	var request scoreboard.Request
	request.Begin(w.cell, r.Method, shown(r), r.RemoteAddr)
	defer request.End()
	if all, ok := rw.(streamWriter); ok && r.ProtoMajor == 2 {
		s := &stream{streamWriter: all, body: r.Body, cell: w.cell}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = (*streamBody)(s)
		}
		rw = s
	}
	h.ServeHTTP(rw, r)
}

// shown is what of a request's target others may see: without the query,
// where secrets are.
func shown(r *http.Request) string {
	if r.URL.Path == "" {
		return r.Host // CONNECT
	}
	return r.URL.Path
}

// endRequest is for the connection's own request.
func (c *conn) endRequest() {
	c.request.End()
	c.serving.Store(false)
}

// countRead counts bytes that came. They are progress where they belong to a
// request that has begun, or to what it became: a hijacked connection. What
// comes before is a client that may never finish its request.
func (c *conn) countRead(n int64) {
	if cell := c.set.counted; cell != nil && n > 0 {
		cell.AddRead(n)
		if c.inRequest() {
			cell.Advance()
		}
	}
}

// countWritten counts bytes that went.
func (c *conn) countWritten(n int64) {
	if cell := c.set.counted; cell != nil && n > 0 {
		cell.AddWritten(n)
		if c.inRequest() {
			cell.Advance()
		}
	}
}

func (c *conn) inRequest() bool {
	return c.serving.Load() || http.ConnState(c.state.Load()) == http.StateHijacked
}

// streamWriter is all that net/http's ResponseWriter of HTTP/2 can do
// (h2_bundle.go, http2responseWriter), so that a handler finds the same in a
// stream.
type streamWriter interface {
	http.ResponseWriter
	http.Pusher
	io.StringWriter
	Flush()
	FlushError() error
	CloseNotify() <-chan bool
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// stream is a request of HTTP/2.
type stream struct {
	streamWriter
	body io.ReadCloser
	cell *scoreboard.Cell
}

// Unwrap is for http.ResponseController, should it learn something new.
func (s *stream) Unwrap() http.ResponseWriter { return s.streamWriter }

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.streamWriter.Write(p)
	s.advance(n)
	return n, err
}

func (s *stream) WriteString(text string) (int, error) {
	n, err := s.streamWriter.WriteString(text)
	s.advance(n)
	return n, err
}

func (s *stream) advance(n int) {
	if n > 0 {
		s.cell.Advance()
	}
}

// streamBody is the body of the same.
type streamBody stream

func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	(*stream)(b).advance(n)
	return n, err
}

func (b *streamBody) Close() error { return b.body.Close() }
