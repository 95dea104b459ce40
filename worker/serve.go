package worker

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// What Serve's own server bears of a client. CIS asks for 40 s at most for
// the headers.
const (
	headerTimeout   = 10 * time.Second
	idleTimeout     = 75 * time.Second
	progressTimeout = 30 * time.Second // for a part of a request's body, and for 64 KiB of a response
	maxHeaderBytes  = 32 << 10
)

// Serve serves h on every listener until the worker drains: it says READY=1,
// accepts, and returns nil after a clean drain. A nil h is
// http.DefaultServeMux.
//
// Its server bounds what a client may cost: 10 s for a request's headers,
// 32 KiB of them, 75 s of idleness, and progress at least every 30 s while a
// body is read or a response written. A response that goes on for hours is
// fine; ServeServer takes a server with other limits.
func (w *Worker) Serve(h http.Handler) error {
	if h == nil {
		h = http.DefaultServeMux
	}
	return w.serve(newServer(h), progressTimeout)
}

// ServeServer is Serve with a server of the program's own: its timeouts, its
// ConnState, and TLS when TLSConfig has certificates. Start it once; do not
// call its Shutdown or Close, which lose keep-alive requests: the worker
// drains it. What RegisterOnShutdown registered runs when only hijacked
// connections are left; OnDrain and Draining are told at once.
func (w *Worker) ServeServer(srv *http.Server) error {
	return w.serve(srv, 0)
}

func (w *Worker) serve(srv *http.Server, progress time.Duration) error {
	s, err := newServing(w, srv)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	w.mu.Lock()
	w.servings = append(w.servings, s)
	w.mu.Unlock()

	ended := make(chan error, len(w.listeners))
	for _, l := range w.listeners {
		go func() { ended <- s.accept(httpListener{l, progress}) }()
	}
	if !w.isDraining() { // told to stop before it was ready: it is not going to be
		if err := w.Ready(); err != nil {
			// The master's start timeout deals with a worker that cannot say it.
			w.report("say ready", err)
		}
	}
	for range w.listeners {
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			w.Stop()
			_ = w.Wait()
			return fmt.Errorf("serve: %w", err)
		}
	}
	return w.Wait()
}

// httpListener accepts for net/http, whose ConnState says how a connection is
// used.
type httpListener struct {
	*listener
	progress time.Duration
}

func (l httpListener) Accept() (net.Conn, error) {
	return l.accept(l.progress, http.StateNew)
}

// Close does nothing: net/http closes its listeners when it stops, and this
// one is closed by the drain, after what it was woken for is accepted.
func (l httpListener) Close() error { return nil }
