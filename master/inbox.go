package master

import (
	"sync"

	"prefork/ipc"
	"prefork/ipc/notify"
	"prefork/master/internal/pool"
)

// fromWorker is one thing that the poller read for the loop, from a worker or a
// helper.
type fromWorker struct {
	id       pool.ID
	executed bool            // the shim's pipe has ended without an error
	message  *notify.Message // a datagram
	busy     *ipc.Busy       // what it says of a lock of the store; beside message
	report   string          // a line of a helper's stderr, with its priority
	asked    int             // number of the helper that somebody waits for; no process' own
}

// inbox hands what the poller read to the loop. The poller never waits for
// the loop: the bound is each worker's own (proc.queued).
type inbox struct {
	wake chan struct{} // has one element while something waits

	mu    sync.Mutex
	queue []fromWorker
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) put(ev fromWorker) {
	b.mu.Lock()
	b.queue = append(b.queue, ev)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []fromWorker {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queue
	b.queue = nil
	return q
}
