package worker

import (
	"errors"
	"fmt"
	"os"

	"prefork/ipc"
	"prefork/ipc/store"
)

// Store is what all workers of the pool share. Outside a pool, and in one
// without a store, it is this process' own, with the same limits, and says so
// on stderr at the first use.
func (w *Worker) Store() store.Store {
	w.storeOnce.Do(func() {
		s, err := w.openStore()
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "alone: sessions are not shared: "+err.Error()) // nobody is left to tell
			s = store.Private(store.Config{})
		}
		w.store = s
	})
	return w.store
}

// openStore maps the store that the master handed over.
func (w *Worker) openStore() (store.Store, error) {
	fd, ok := w.env.fds[ipc.FDStore]
	if !ok {
		return nil, errors.New("no master, or one without a store")
	}
	return store.Open(fd, store.Options{ID: w.env.id})
}
