// Command echo is the Go worker that storm compares with its peers: it reads
// what it is sent and answers "ok", and says who it is.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"prefork/worker"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "echo: error:", err)
		os.Exit(1)
	}
}

func run() error {
	w, err := worker.Start()
	if err != nil {
		return err
	}
	pid := strconv.Itoa(os.Getpid())
	return w.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the client is gone: there is nobody to answer
		}
		w.Header().Set("X-Worker", pid)
		_, _ = io.WriteString(w, "ok\n") // the same
	}))
}
