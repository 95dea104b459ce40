package worker

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"prefork/ipc"
	"prefork/ipc/store"
)

// dialTimeout bounds the first look at a store that is reached by a URL.
const dialTimeout = 5 * time.Second

// Store is what all workers of the pool share. It is opened at the first call,
// which reserves its memory: a pool that never asks pays nothing. With
// --store redis://... or unix:///... it is that server; import prefork/ipc/redis for it. What
// keeps it from being opened is said on stderr once, and is the error of every
// operation.
//
// Outside a pool PREFORK_STORE may name a Redis server too. Otherwise, and in a
// pool without a store, it is this process' own, with the same limits, and says
// so on stderr.
func (w *Worker) Store() store.Store {
	w.storeOnce.Do(func() {
		s, err := w.openStore()
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // nobody is left to tell
			s = store.Failed(err)
		}
		w.store = s
	})
	return w.store
}

func (w *Worker) openStore() (store.Store, error) {
	if fd, ok := w.env.fds[ipc.FDStore]; ok {
		return store.Open(fd, store.Options{ID: w.env.id, Busy: busyReports(w.notify.Send)})
	}
	// A pool whose store is in memory hands its descriptor to every worker, so
	// the URL is that of a server, and not of the pool's own socket: a Redis may
	// listen on a Unix socket too.
	if url := os.Getenv(ipc.EnvStore); url != "" {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		defer cancel()
		return store.Dial(ctx, url)
	}
	_, _ = fmt.Fprintln(os.Stderr, "alone: sessions are not shared")
	return store.Private(store.Config{}), nil
}

// busyEvery is how far apart this process' reports of a busy store are, at
// least: as many goroutines as wait for it would fill the master's queue of
// this worker, where READY and WATCHDOG want through.
const busyEvery = 100 * time.Millisecond

// busyReports tells the master who kept a part of the store for too long. The
// master looks for itself; a report that is left out or lost is made again by
// the next that waits.
func busyReports(send func(...string) error) func(shard int, id uint64) {
	began := time.Now()
	var next atomic.Int64 // nanoseconds since began
	return func(shard int, id uint64) {
		now, from := int64(time.Since(began)), next.Load()
		if now >= from && next.CompareAndSwap(from, now+int64(busyEvery)) {
			_ = send(ipc.Busy{Shard: shard, ID: id}.String())
		}
	}
}
