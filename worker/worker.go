package worker

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"prefork/ipc/notify"
	"prefork/ipc/scoreboard"
	"prefork/ipc/store"
)

// Alone is the address that Start listens on outside a pool. A program that
// has a flag for it sets it before Start.
var Alone = "127.0.0.1:8080"

// Errors that Serve, ServeServer and Wait return.
var (
	// ErrMasterGone says that the worker drained because its master died: the
	// drain may have been clean, the exit status should still not be 0.
	ErrMasterGone = errors.New("worker: the master is gone")

	// ErrDrainTimeout says that connections were still open when the drain
	// timeout was over, and were closed.
	ErrDrainTimeout = errors.New("worker: drain timeout")
)

// Worker is this process' membership of its pool, or its life alone. Start
// makes the only one. Its methods may be called from any goroutine.
type Worker struct {
	env       environ
	inPool    bool
	notify    *notify.Sender
	listeners []*listener
	conns     connSet
	cell      *scoreboard.Cell // nil: none, its methods do nothing

	storeOnce sync.Once
	store     store.Store // set by storeOnce

	ready     sync.Once
	readyErr  error
	drainOnce sync.Once
	draining  chan struct{} // closed when the drain begins
	drained   chan struct{} // closed when the drain has ended
	drainErr  error         // set before drained is closed

	hurry     chan struct{} // closed: the drain ends now
	hurryOnce sync.Once

	// Set before draining is closed.
	drainStart int64 // monotonic nanoseconds
	drainEnd   time.Time
	masterGone bool

	quick atomic.Bool // the lifeline said that a person waits

	mu       sync.Mutex
	onDrain  []func(context.Context) error // guarded by mu
	servings []*serving                    // guarded by mu
}

// Slot is this worker's place in the pool, 0 to Workers()-1. Generations
// share it: during a reload two processes have the same slot.
func (w *Worker) Slot() int { return w.env.slot }

// Generation counts the pool's reloads, from 1.
func (w *Worker) Generation() uint64 { return w.env.generation }

// Workers is the worker count at the time when this worker was started.
func (w *Worker) Workers() int { return w.env.workers }

// InPool says whether a master started this process.
func (w *Worker) InPool() bool { return w.inPool }

// Draining is closed when the worker has been told to stop, or has lost its
// master. A handler that streams for long ends its stream then; it has until
// the drain timeout.
func (w *Worker) Draining() <-chan struct{} { return w.draining }

// Listener is the first listener. Other servers accept from it; Serve and
// ServeServer use all of them. Its Accept returns net.ErrClosed once the
// worker drains, after it has returned every connection that it was woken for.
func (w *Worker) Listener() net.Listener { return w.listeners[0] }

// ListenerNamed is the listener that the master's configuration names so
// ("?name=web"; listen0, listen1, ... where it gives none), or nil.
func (w *Worker) ListenerNamed(name string) net.Listener {
	for _, l := range w.listeners {
		if l.name == name {
			return l
		}
	}
	return nil
}

// Listeners gives every listener by its name.
func (w *Worker) Listeners() map[string]net.Listener {
	all := make(map[string]net.Listener, len(w.listeners))
	for _, l := range w.listeners {
		all[l.name] = l
	}
	return all
}

// OnDrain registers what must end when the worker drains: a server over
// Listener, a queue's consumer. The functions run at the same time, once the
// listeners have stopped; the context ends with the drain timeout. Serve and
// Wait return when all have returned, with their errors.
func (w *Worker) OnDrain(f func(context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onDrain = append(w.onDrain, f)
}

// Ready tells the master that this worker serves. Serve and ServeServer call
// it; a program with a server of another kind calls it once that accepts.
// Later calls change nothing.
func (w *Worker) Ready() error {
	w.ready.Do(func() { w.readyErr = w.sayReady() })
	return w.readyErr
}

// Stop drains the worker as if the master had told it to. It says STOPPING=1
// to the master, whose replacement for this worker starts at once.
func (w *Worker) Stop() {
	w.drain(causeSelf)
}

// Wait waits until a drain has ended, and returns what Serve would: for
// programs whose servers are not net/http's.
func (w *Worker) Wait() error {
	<-w.drained
	return w.drainErr
}
