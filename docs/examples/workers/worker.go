// A worker in Go: the library joins the pool, serves on the shared socket and
// drains without losing a request.
//
//	go build -o bin/worker ./docs/examples/workers
//	prefork run -w 4 -- bin/worker
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"prefork/worker"
)

func main() {
	w, err := worker.Start()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(rw, "hello from go, worker %d of %d, pid %d\n", w.Slot(), w.Workers(), os.Getpid())
	})
	if err := w.Serve(nil); err != nil {
		log.Fatal(err)
	}
}
