package worker

import (
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"prefork/sockets"
)

// listener is one socket of the pool as this worker's servers see it: it
// counts connections, pauses at the cap and when descriptors run out, and
// ends with net.ErrClosed when the worker drains.
type listener struct {
	shared sockets.Listener
	w      *Worker
	index  int // place in LISTEN_FDS
	name   string
	done   chan struct{} // closed when the descriptor is

	closed sync.Once

	mu        sync.Mutex
	accepting bool // guarded by mu: Accept was called
	paused    bool // guarded by mu: left for a while
	gone      bool // guarded by mu: left for good
}

func newListener(w *Worker, index int, name string, shared sockets.Listener) *listener {
	return &listener{shared: shared, w: w, index: index, name: name, done: make(chan struct{})}
}

// Addr is the address of the socket.
func (l *listener) Addr() net.Addr { return l.shared.Addr() }

// Accept returns connections for any server: they count as in use until they
// are closed.
func (l *listener) Accept() (net.Conn, error) {
	return l.accept(0, http.StateHijacked)
}

func (l *listener) accept(progress time.Duration, state http.ConnState) (net.Conn, error) {
	l.mu.Lock()
	l.accepting = true
	l.mu.Unlock()
	for {
		if l.w.conns.full() {
			l.pause()
		}
		nc, err := l.shared.Accept()
		switch {
		case err == nil:
			l.w.cell.AddAccepted(l.index)
			return l.w.conns.add(nc, progress, state), nil
		case errors.Is(err, sockets.ErrLeft):
			if !l.awaitRoom() {
				_ = l.shut() // it was only accepted from
				return nil, net.ErrClosed
			}
		case exhausted(err):
			l.w.report("accept", err)
			l.pause()
			l.rest()
		default:
			return nil, err
		}
	}
}

// pause leaves the queue of waiters: other workers get the connections.
//
// The kernel counts a wake-up as given when a thread of this process returns
// from epoll_wait, which at most one of each processor's does before the
// accepting goroutine runs: so many connections are accepted at most, so that
// a cap is exceeded by no more.
func (l *listener) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone && !l.paused {
		l.paused = true
		l.shared.Leave(runtime.GOMAXPROCS(0))
	}
}

// rejoin undoes pause, unless the worker drains: false.
func (l *listener) rejoin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone && l.paused {
		l.paused = false
		l.shared.Rejoin()
	}
	return !l.gone
}

// awaitRoom waits until a connection more may be accepted; false: the worker
// drains.
func (l *listener) awaitRoom() bool {
	for l.w.conns.full() {
		n, fewer := l.w.conns.fewer()
		if n < l.w.conns.limit {
			break
		}
		select {
		case <-fewer:
		case <-l.w.draining:
			return false
		}
	}
	return l.rejoin()
}

// exhaustedWait is how long accepting pauses when descriptors or memory have
// run out and no connection ends: something else may give some back.
const exhaustedWait = 100 * time.Millisecond

func (l *listener) rest() {
	_, fewer := l.w.conns.fewer()
	t := time.NewTimer(exhaustedWait)
	defer t.Stop()
	select {
	case <-fewer:
	case <-t.C:
	}
	l.rejoin()
}

// leaveForGood begins the drain of the listener: its Accept returns what it
// was woken for, then net.ErrClosed.
func (l *listener) leaveForGood() {
	l.mu.Lock()
	l.gone = true
	l.shared.Leave(-1)
	idle := !l.accepting
	l.mu.Unlock()
	if idle {
		_ = l.shut() // as in Accept
	}
}

// Close closes this process' descriptor. Other workers accept on.
func (l *listener) Close() error { return l.shut() }

func (l *listener) shut() (err error) {
	l.closed.Do(func() {
		err = l.shared.Close()
		close(l.done)
	})
	return err
}
