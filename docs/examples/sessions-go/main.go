// Sessions in the store of the pool: a login that one worker takes is known to
// all of them, through reloads and kills.
//
//	go build -o bin/sessions ./docs/examples/sessions-go
//	prefork run -w 4 -- bin/sessions
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	_ "prefork/ipc/redis" // for --store redis://...
	"prefork/worker"
	"prefork/worker/session"
)

func main() {
	w, err := worker.Start()
	if err != nil {
		log.Fatal(err)
	}
	s := session.New(w.Store())
	s.Lifetime = 12 * time.Hour
	s.IdleTimeout = 30 * time.Minute

	web := shop{s}
	http.Handle("GET /{$}", s.LoadAndSave(http.HandlerFunc(web.hello)))
	http.Handle("POST /login", s.LoadAndSave(http.HandlerFunc(web.login)))
	http.Handle("POST /logout", s.LoadAndSave(http.HandlerFunc(web.logout)))
	http.Handle("POST /cart", s.Exclusive(http.HandlerFunc(web.add))) // reads, adds, writes: one at a time
	if err := w.Serve(nil); err != nil {
		log.Fatal(err)
	}
}

type shop struct{ s *session.Manager }

func (w shop) hello(rw http.ResponseWriter, r *http.Request) {
	user := w.s.GetString(r.Context(), "user")
	if user == "" {
		user = "stranger"
	}
	_, _ = fmt.Fprintf(rw, "pid %d: hello, %s; %d in your cart\n", os.Getpid(), user, w.s.GetInt(r.Context(), "cart"))
}

func (w shop) login(rw http.ResponseWriter, r *http.Request) {
	// The password would be checked here.
	if err := w.s.RenewToken(r.Context()); err != nil { // a token that was known before is worth nothing now
		w.s.ErrorFunc(rw, r, err)
		return
	}
	w.s.Put(r.Context(), "user", r.PostFormValue("name"))
	_, _ = fmt.Fprintln(rw, "welcome")
}

func (w shop) logout(rw http.ResponseWriter, r *http.Request) {
	if err := w.s.Destroy(r.Context()); err != nil {
		w.s.ErrorFunc(rw, r, err)
		return
	}
	_, _ = fmt.Fprintln(rw, "goodbye")
}

func (w shop) add(rw http.ResponseWriter, r *http.Request) {
	n := w.s.GetInt(r.Context(), "cart") + 1
	w.s.Put(r.Context(), "cart", n)
	_, _ = fmt.Fprintf(rw, "%d in your cart\n", n)
}
