//go:build faults

package faults

import (
	"errors"
	"net/http"
	"syscall"
	"time"

	"prefork/worker"
)

// The role "first" serves the first listener alone and leaves the others be.
var _ = Role("first", func([]string) {
	serveRole("first", func(w *worker.Worker) error {
		srv := &http.Server{Handler: http.HandlerFunc(named), ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = srv.Serve(w.Listener()) }() // ends with the drain
		w.OnDrain(srv.Shutdown)
		if err := w.Ready(); err != nil {
			return err
		}
		return w.Wait()
	})
})

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
