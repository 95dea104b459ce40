package worker

import (
	"fmt"
	"os"

	"prefork/ipc"
	"prefork/ipc/store"
)

// openStore maps the store that the master handed over.
func (w *Worker) openStore() error {
	fd, ok := w.env.fds[ipc.FDStore]
	if !ok {
		return nil
	}
	s, err := store.Open(fd)
	if err != nil {
		return err
	}
	w.storeOnce.Do(func() { w.store = s })
	return nil
}

// Store is what all workers of the pool share. Outside a pool, and in one
// without a store, it is this process' own, with the same limits, and says so
// on stderr at the first use.
func (w *Worker) Store() *store.Embedded {
	w.storeOnce.Do(func() {
		w.store = store.Private()
		_, _ = fmt.Fprintln(os.Stderr, "alone: sessions are not shared") // nobody is left to tell
	})
	return w.store
}
