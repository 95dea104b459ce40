package main

import (
	"html/template"
	"net/http"
	"sync/atomic"

	"prefork/worker"
	"prefork/worker/session"
)

// envWorker is set for a worker of the pool.
const envWorker = "BENCH_SESSION_WORKER"

// paths are the handler without a session and the one with.
var paths = [2]string{"/plain", "/session"}

// page is what a small shop would show, about 2 KB of it.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tea</title></head><body>
<h1>Tea</h1><p>This is page {{.Visits}} that you look at.</p><table>
{{range .Teas}}<tr><td>{{.Name}}</td><td>{{.From}}</td><td><a href="/tea?name={{.Name}}">{{.Grams}} g</a></td></tr>
{{end}}</table></body></html>
`))

type tea struct {
	Name, From string
	Grams      int
}

var teas = func() (all []tea) {
	for _, from := range []string{"Assam", "Darjeeling", "Nilgiri", "Uva", "Yunnan"} {
		for i, name := range []string{"first flush", "second flush", "autumnal", "green"} {
			all = append(all, tea{from + " " + name, from, 50 * (i + 1)})
		}
	}
	return all
}()

func show(w http.ResponseWriter, visits int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, struct { // the client may have gone
		Visits int
		Teas   []tea
	}{visits, teas})
}

// serve is a worker.
func serve() error {
	w, err := worker.Start()
	if err != nil {
		return err
	}
	s := session.New(w.Store())
	var visits atomic.Int64
	http.HandleFunc(paths[0], func(rw http.ResponseWriter, _ *http.Request) { show(rw, int(visits.Add(1))) })
	http.Handle(paths[1], s.LoadAndSave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n := s.GetInt(r.Context(), "visits") + 1
		s.Put(r.Context(), "visits", n)
		show(rw, n)
	})))
	return w.Serve(nil)
}
