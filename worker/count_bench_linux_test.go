package worker

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"prefork/ipc/scoreboard"
)

// counting gives a worker with a cell or without, as far as a server's hooks
// need it.
func counting(tb testing.TB, withCell bool) *Worker {
	tb.Helper()
	w := &Worker{draining: make(chan struct{})}
	if !withCell {
		return w
	}
	b, err := scoreboard.Create()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	index, _ := b.Alloc(0, 1, 1)
	c, err := scoreboard.Open(b.FD(), index)
	if err != nil {
		tb.Fatal(err)
	}
	w.cell, w.conns.counted = c, c
	return w
}

type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

// hooked gives a server's handler behind the worker's hooks, and a request on
// a connection of it.
func hooked(tb testing.TB, w *Worker) (http.Handler, *http.Request) {
	tb.Helper()
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	if _, err := newServing(w, srv); err != nil {
		tb.Fatal(err)
	}
	c := &conn{set: &w.conns}
	// As deep as net/http's contexts are: server, local address, cancellation
	// of the connection and of the request.
	ctx := srv.ConnContext(context.Background(), c)
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, nil)
	ctx, cancel := context.WithCancel(ctx)
	tb.Cleanup(cancel)
	ctx, cancel = context.WithCancel(ctx)
	tb.Cleanup(cancel)
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/some/path/of/a/usual/length"}, RemoteAddr: "127.0.0.1:12345", ProtoMajor: 1, ProtoMinor: 1}
	return srv.Handler, r.WithContext(ctx)
}

func TestCountingARequestAllocatesNothing(t *testing.T) {
	h, r := hooked(t, counting(t, true))
	rw := nowhere{http.Header{}}
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(rw, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What the hooks cost a request whose handler does nothing.
func BenchmarkHandler(b *testing.B) {
	for _, cell := range []bool{false, true} {
		b.Run(map[bool]string{false: "without", true: "with"}[cell]+"-cell", func(b *testing.B) {
			h, r := hooked(b, counting(b, cell))
			rw := nowhere{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(rw, r)
			}
		})
	}
}

// The same with all that net/http does, on a kept connection.
func BenchmarkServed(b *testing.B) {
	for _, cell := range []bool{false, true} {
		b.Run(map[bool]string{false: "without", true: "with"}[cell]+"-cell", func(b *testing.B) {
			w := counting(b, cell)
			srv := newServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok") }))
			if _, err := newServing(w, srv); err != nil {
				b.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = srv.Serve(tracked{l, w}) }()
			defer func() { _ = srv.Close() }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			in := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(c, "GET /some/path/of/a/usual/length HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
}

// tracked puts accepted connections into the worker's care.
type tracked struct {
	net.Listener
	w *Worker
}

func (l tracked) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.w.conns.add(nc, progressTimeout, http.StateNew), nil
}
