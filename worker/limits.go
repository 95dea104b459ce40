package worker

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// limitConns sets the number of connections at which accepting pauses: the
// pool's cap, and what the limit of descriptors leaves beside those that are
// open now and a tenth for files and connections of the program's own. So
// EMFILE, which would cost every worker's clients a second (net/http retries
// with growing sleeps), is hardly ever reached.
func (w *Worker) limitConns() {
	w.conns.limit = w.env.maxConns
	limit, open, ok := descriptors()
	if !ok {
		return
	}
	room := max(1, limit-open-max(8, limit/10))
	if w.conns.limit == 0 || room < w.conns.limit {
		w.conns.limit = room
	}
}

var reported atomic.Int64 // monotonic nanoseconds of the last report

// report says on stderr, at most once a second, what the program is not told
// by an error of its own.
func (w *Worker) report(verb string, err error) {
	t, last := now(), reported.Load()
	if last != 0 && t-last < int64(time.Second) || !reported.CompareAndSwap(last, t) {
		return
	}
	fmt.Fprintf(os.Stderr, "worker: %s: %v (%d connections open)\n", verb, err, w.conns.open())
}
