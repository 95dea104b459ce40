//go:build faults

package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"

	"prefork/worker"
)

// The role "web" is a Go worker: it answers every request with its pid, after
// it has read the request's body.
var _ = Role("web", func([]string) {
	w, err := worker.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
	err = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(out, os.Getpid())
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
})

// BrokenReason is what the role "broken" says before it exits with 7.
const BrokenReason = "broken: the books are not where they should be"

// The role "broken" is a program that cannot start.
var _ = Role("broken", func([]string) {
	fmt.Fprintln(os.Stderr, BrokenReason)
	os.Exit(7)
})
