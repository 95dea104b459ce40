package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"prefork/worker"
	"prefork/worker/session"
)

// web is the backend's name of a worker that serves HTTP: /plain counts in its
// own memory, /session in the session of the client. All else is the same.
const web = "web"

func runWeb() error {
	w, err := worker.Start()
	if err != nil {
		return err
	}
	sessions := session.New(w.Store())
	var own atomic.Int64
	http.HandleFunc("/plain", func(out http.ResponseWriter, _ *http.Request) {
		answer(out, int(own.Add(1)))
	})
	http.Handle("/session", sessions.LoadAndSave(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		n := sessions.GetInt(r.Context(), "n") + 1
		sessions.Put(r.Context(), "n", n)
		answer(out, n)
	})))
	return w.Serve(nil)
}

// answer is a page of some size.
func answer(out http.ResponseWriter, n int) {
	page := append(make([]byte, 0, 1024), "visits: "...)
	page = strconv.AppendInt(page, int64(n), 10)
	page = append(page, bytes.Repeat([]byte{' '}, 1000-len(page))...)
	out.Header().Set("Content-Type", "text/plain")
	out.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = out.Write(page) // the client may have gone
}

const (
	webClients = 8
	minOfPlain = 0.9 // throughput with a session, of that without
)

// sessionCost compares requests that read and write a session with the same
// handler without one, in turns.
func (c *config) sessionCost() (broken promises, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	prefork, err := c.binary(dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "control")
	end, err := startServer(path, prefork, "run", "--control", path, "--log-level", "error",
		"-l", "127.0.0.1:0", "-w", "2", "--env", envBackend+"="+web, "--", self)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	address, err := addressOf(prefork, path)
	if err != nil {
		return nil, err
	}
	rates := map[string][]float64{}
	for i := range 3*c.rounds + 1 {
		for _, path := range []string{"/plain", "/session"} {
			rate, err := load(address, path, c.round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if i > 0 {
				rates[path] = append(rates[path], rate)
			}
		}
	}
	plain, with := rates["/plain"], rates["/session"]
	ratio := ratioOf(with, plain)
	fmt.Printf("\nrequests a second, %d clients, 2 workers: without a session %.0f, reading and writing one %.0f, ratio %.2f\n", webClients, middle(plain), middle(with), ratio)
	if ratio < minOfPlain {
		broken = append(broken, fmt.Sprintf("requests with a session: %.2f of those without (want %.1f)", ratio, minOfPlain))
	}
	return broken, nil
}

// addressOf gives where a pool listens. A queue holds the clients that come
// before its workers.
func addressOf(prefork, control string) (string, error) {
	out, err := exec.Command(prefork, "status", "--control", control, "--json").Output()
	if err != nil {
		return "", fmt.Errorf("prefork status: %w", err)
	}
	var status struct{ Listeners []struct{ Address string } }
	if err := json.Unmarshal(out, &status); err != nil || len(status.Listeners) != 1 {
		return "", fmt.Errorf("prefork status said %.300q: %w", out, err)
	}
	return status.Listeners[0].Address, nil
}

// load has all clients ask for a while and gives the answers a second.
func load(address, path string, d time.Duration) (float64, error) {
	var wg sync.WaitGroup
	var total atomic.Int64
	failed := make([]error, webClients)
	began := time.Now()
	for i := range webClients {
		wg.Go(func() {
			n, err := visit(address, path, began.Add(d))
			total.Add(int64(n))
			failed[i] = err
		})
	}
	wg.Wait()
	return float64(total.Load()) / time.Since(began).Seconds(), errors.Join(failed...)
}

// visit asks again and again on one connection, with the cookie that the first
// answer gives.
func visit(address, path string, until time.Time) (n int, err error) {
	c, err := connectTCP(address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	c.out = []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n")
	for time.Now().Before(until) {
		if err := c.ask(); err != nil {
			return n, err
		}
		head, err := c.page()
		if err != nil {
			return n, err
		}
		if n == 0 {
			if _, cookie, ok := bytes.Cut(head, []byte("Set-Cookie: ")); ok {
				cookie, _, _ = bytes.Cut(cookie, []byte(";"))
				c.out = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\nCookie: %s\r\n\r\n", path, cookie)
			}
		}
		n++
	}
	return n, nil
}

// page reads one answer and gives its head.
func (c *conn) page() ([]byte, error) {
	for {
		head, _, ok := bytes.Cut(c.in[:c.got], []byte("\r\n\r\n"))
		if !ok {
			if err := c.more(); err != nil {
				return nil, err
			}
			continue
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
			return nil, fmt.Errorf("answered %.300q", head)
		}
		head = bytes.Clone(head)
		return head, c.answer(len(head) + 4 + 1000)
	}
}
