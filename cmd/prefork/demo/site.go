package demo

import (
	"fmt"
	"net/http"
	"time"
)

// Options is what a Site is made of; all fields are needed.
type Options struct {
	Worker  Worker
	Globals *Globals
	Store   Store
	// Command is how a shell on this machine calls this program: "prefork",
	// or "go run ./cmd/prefork".
	Command string
	// Kill ends this process without a word, as kill -9 does. It does not
	// return, but in a test.
	Kill func()
}

// Site is the demo as one worker serves it.
type Site struct {
	o        Options
	handler  http.Handler
	inGlobal logins
	inStore  logins
}

// New makes the site of one worker.
func New(o Options) *Site {
	s := &Site{
		o:        o,
		inGlobal: logins{cookie: "prefork_demo_global", table: o.Globals},
		inStore:  logins{cookie: "prefork_demo_ipc", table: o.Store},
	}
	mux := http.NewServeMux()
	for path, a := range assets {
		mux.Handle("GET "+path, a)
	}
	mux.Handle("POST /api/request", answer(s.request))
	mux.Handle("GET /api/pool", answer(s.pool))
	mux.Handle("GET /api/me", answer(s.whoAmI))
	mux.Handle("POST /api/login", answer(s.login))
	mux.Handle("POST /api/logout", answer(s.logout))
	mux.HandleFunc("POST /api/kill", s.kill)
	// Refuses a POST that another site's page makes the browser send
	// (Sec-Fetch-Site, else Origin against Host). Programs send neither header
	// and pass.
	s.handler = http.NewCrossOriginProtection().Handler(mux)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// The next request comes on a new connection, and so to any worker.
	h.Set("Connection", "close")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	s.handler.ServeHTTP(w, r)
}

// who is the worker that answers; it is a part of every answer.
type who struct {
	entry
	UptimeMS int64 `json:"uptime_ms"`
}

func (s *Site) who() who {
	return who{entry: s.me(), UptimeMS: time.Since(s.o.Worker.Started).Milliseconds()}
}

// request counts itself twice: in this worker's global, and in the store.
func (s *Site) request(http.ResponseWriter, *http.Request) (any, error) {
	s.o.Globals.requests.Add(1)
	shared, err := s.o.Store.Add(keyRequests, 1)
	if err != nil {
		return nil, fmt.Errorf("count request: %w", err)
	}
	return struct {
		Worker who   `json:"worker"`
		Shared int64 `json:"shared"`
	}{s.who(), shared}, nil
}

// pool says who is there, and changes nothing.
func (s *Site) pool(http.ResponseWriter, *http.Request) (any, error) {
	shared, err := s.o.Store.Add(keyRequests, 0)
	if err != nil {
		return nil, fmt.Errorf("read request counter: %w", err)
	}
	workers, err := s.roster()
	if err != nil {
		return nil, err
	}
	return struct {
		Worker  who     `json:"worker"`
		Workers []entry `json:"workers"`
		Shared  int64   `json:"shared"`
		Now     int64   `json:"now_ms"` // on the clock of started_ms
		Command string  `json:"command"`
	}{s.who(), workers, shared, time.Now().UnixMilli(), s.o.Command}, nil
}

// identity is one request as seen by both: null is "never heard of you".
type identity struct {
	Worker who    `json:"worker"`
	Global *login `json:"global"`
	IPC    *login `json:"ipc"`
}

func (s *Site) whoAmI(_ http.ResponseWriter, r *http.Request) (any, error) {
	global, err := s.inGlobal.current(r)
	if err != nil {
		return nil, err
	}
	ipc, err := s.inStore.current(r)
	if err != nil {
		return nil, err
	}
	return identity{s.who(), global, ipc}, nil
}

// login logs the visitor in twice: here, and for the whole pool.
func (s *Site) login(w http.ResponseWriter, r *http.Request) (any, error) {
	var asked struct {
		Name string `json:"name"`
	}
	if err := readJSON(w, r, &asked); err != nil {
		return nil, err
	}
	name, err := cleanName(asked.Name)
	if err != nil {
		return nil, err
	}
	in := login{Name: name, Slot: s.o.Worker.Slot}
	if err := s.inStore.begin(w, r, in); err != nil {
		return nil, err
	}
	if err := s.inGlobal.begin(w, r, in); err != nil {
		return nil, err
	}
	return identity{s.who(), &in, &in}, nil
}

// logout is sure for the store. A global it can clear in this worker alone: a
// login that another worker took stays there until it expires.
func (s *Site) logout(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := s.inStore.end(w, r); err != nil {
		return nil, err
	}
	if err := s.inGlobal.end(w, r); err != nil {
		return nil, err
	}
	return identity{Worker: s.who()}, nil
}
