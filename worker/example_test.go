package worker_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"prefork/worker"
)

func Example() {
	w, err := worker.Start()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(rw, "worker %d of %d\n", w.Slot(), w.Workers())
	})
	if err := w.Serve(nil); err != nil {
		log.Fatal(err)
	}
}

// A server that is not net/http's takes the listener, and ends in OnDrain.
func ExampleWorker_Listener() {
	w, err := worker.Start()
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{} // stands for a gRPC server, whose GracefulStop it would be
	w.OnDrain(func(ctx context.Context) error { return srv.Shutdown(ctx) })
	go func() { _ = srv.Serve(w.Listener()) }()
	if err := w.Ready(); err != nil {
		log.Fatal(err)
	}
	if err := w.Wait(); err != nil {
		log.Fatal(err)
	}
}
