//go:build faults

package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"prefork/worker"
)

// serveRole joins the pool and serves; a role that cannot exits with 1.
func serveRole(name string, serve func(w *worker.Worker) error) {
	w, err := worker.Start()
	if err == nil {
		err = serve(w)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// named answers with its pid, in X-Worker too, after it has read the body.
func named(out http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client has gone: there is nobody to answer
	}
	pid := strconv.Itoa(os.Getpid())
	out.Header().Set("X-Worker", pid)
	_, _ = io.WriteString(out, pid+"\n") // the same
}

// The role "named" is the Go worker of the storms.
var _ = Role("named", func([]string) {
	serveRole("named", func(w *worker.Worker) error { return w.Serve(http.HandlerFunc(named)) })
})

// The role "long" has a path for everything that takes its time:
//
//	/sleep?d=   answers after that time
//	/stream     sends a line every 20 ms until the worker drains, then the word "end"
//	/hijack     takes the connection over and echoes lines
//	/leave      answers and leaves the pool
//
// and is "named" on all others.
var _ = Role("long", func([]string) {
	serveRole("long", func(w *worker.Worker) error {
		mux := http.NewServeMux()
		mux.HandleFunc("/", named)
		mux.HandleFunc("/sleep", func(out http.ResponseWriter, r *http.Request) {
			d, err := time.ParseDuration(r.URL.Query().Get("d"))
			if err != nil {
				http.Error(out, err.Error(), http.StatusBadRequest)
				return
			}
			time.Sleep(d) // the work of this handler
			named(out, r)
		})
		mux.HandleFunc("/stream", func(out http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					fmt.Fprintln(out, "data", os.Getpid())
					_ = http.NewResponseController(out).Flush() // fails with the client's end only
				case <-w.Draining():
					fmt.Fprintln(out, "end")
					return
				case <-r.Context().Done():
					return
				}
			}
		})
		mux.HandleFunc("/hijack", func(out http.ResponseWriter, _ *http.Request) {
			c, rw, err := http.NewResponseController(out).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			for {
				line, err := rw.ReadString('\n')
				if err != nil {
					return
				}
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
			}
		})
		mux.HandleFunc("/leave", func(out http.ResponseWriter, r *http.Request) {
			named(out, r)
			w.Stop()
		})
		return w.Serve(mux)
	})
})

// The role "trap PATH" is "named", but a worker that accepts a connection
// while the file at PATH is there removes it and dies of SIGKILL before it has
// read a byte.
var _ = Role("trap", func(args []string) {
	serveRole("trap", func(w *worker.Worker) error {
		return w.ServeServer(&http.Server{
			Handler:           http.HandlerFunc(named),
			ReadHeaderTimeout: 10 * time.Second,
			ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew && os.Remove(args[0]) == nil {
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {} // it comes before anything else runs here
				}
			},
		})
	})
})
