// Package worker makes a Go program a worker of a prefork pool: it joins the
// pool, serves on the sockets that all workers share, and drains without
// losing a request when it is told to stop. The same program serves alone when
// no master started it.
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"net/http"
//
//		"prefork/worker"
//	)
//
//	func main() {
//		w, err := worker.Start()
//		if err != nil {
//			log.Fatal(err)
//		}
//		http.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
//			fmt.Fprintf(rw, "worker %d of %d\n", w.Slot(), w.Workers())
//		})
//		if err := w.Serve(nil); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// Run it alone, on 127.0.0.1:8080, or four times on one socket:
//
//	go build -o app . && ./app
//	prefork run -w 4 -l :8080 -- ./app
//
// Start belongs at the top of main: before it a stray SIGHUP ends the process.
// Every method may be called from any goroutine.
//
// # The drain
//
// It begins at the pool's stop signal, at TERM and INT, and when the master is
// gone. The worker first leaves the kernel's queue of waiters and then accepts
// what it may have been woken for, so no connection is left to nobody. Each
// response says "Connection: close" (HTTP/2: GOAWAY). A connection that is idle
// may still bring a request for the linger, counted from the drain or from its
// last response, whichever is later; then it is closed, if nothing is unread on
// it. What is being served goes on until the drain timeout, hijacked
// connections and streams too: Draining tells their handlers. What is open at
// the end is closed, and Serve returns ErrDrainTimeout.
//
// A client that sends on a connection which has been idle for longer than the
// linger may find it closed, as RFC 9112 section 9.5 allows.
//
// # What it does not do
//
// It does not log, except what it cannot return: at most one line a second on
// stderr while no descriptors are left. It does not restart anything: that is
// the master's part. Outside Linux it serves alone only.
package worker
