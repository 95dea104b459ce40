//go:build faults

package faults

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Load is a small closed loop of HTTP clients, for tests that need to know
// whether anything fails and not how fast it is. It sends by hand: net/http's
// client hides what is asked here, by sending again what a server lost.
type Load struct {
	dial func() (net.Conn, error)
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	tally Tally
}

// Tally is what a load saw.
type Tally struct {
	Requests int           // answered with 200
	Refused  int           // connects that were refused
	Failed   int           // everything else that went wrong
	First    []error       // the first of the errors
	Longest  time.Duration // of an answered request, with its connect
	Workers  map[string]int
	// Workers counts the answers by body, which for the role "web" is the pid.
}

// Errors is all that went wrong.
func (x Tally) Errors() int { return x.Refused + x.Failed }

func (x Tally) String() string {
	return fmt.Sprintf("%d errors (%d refused) in %d requests, longest %v", x.Errors(), x.Refused, x.Requests, x.Longest.Round(time.Millisecond))
}

// StartLoad starts clients in equal parts of two kinds: one connection a
// request, and 16 KiB POSTed again and again on a kept connection. dial
// connects to the pool; Dial makes one for an address.
func StartLoad(t testing.TB, dial func() (net.Conn, error), clients int) *Load {
	t.Helper()
	l := &Load{dial: dial, stop: make(chan struct{}), tally: Tally{Workers: map[string]int{}}}
	for i := range clients {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			l.client(i%2 == 1)
		}()
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

// Dial connects to a TCP address.
func Dial(addr string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.DialTimeout("tcp", addr, Patience) }
}

// Stop ends the load after the requests that are under way, and gives its tally.
func (l *Load) Stop() Tally {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.wg.Wait()
	return l.Tally()
}

// Tally gives what was seen so far.
func (l *Load) Tally() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.tally
	x.First, x.Workers = slices.Clone(x.First), maps.Clone(x.Workers)
	return x
}

// Until waits until so many more requests were answered.
func (l *Load) Until(t testing.TB, more int) {
	t.Helper()
	want := l.Tally().Requests + more
	Eventually(t, fmt.Sprintf("%d more requests", more),
		func() bool { return l.Tally().Requests >= want },
		func() string { x := l.Tally(); return fmt.Sprintf("%v %v", x, x.First) })
}

func (l *Load) client(keep bool) {
	var conn net.Conn
	var in *bufio.Reader
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		began := time.Now()
		var err error
		if conn == nil {
			if conn, err = l.dial(); err != nil {
				conn = nil
				l.count("", 0, err)
				continue
			}
			in = bufio.NewReader(conn)
		}
		body, closing, err := exchange(conn, in, keep)
		l.count(body, time.Since(began), err)
		if err != nil || closing || !keep {
			_ = conn.Close()
			conn = nil
		}
	}
}

var payload = bytes.Repeat([]byte{'x'}, 16<<10)

// exchange sends a request and reads the answer. closing says that the server
// closes the connection behind it.
func exchange(conn net.Conn, in *bufio.Reader, keep bool) (body string, closing bool, err error) {
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return "", false, err
	}
	head := "GET / HTTP/1.1\r\nHost: pool\r\nConnection: close\r\n\r\n"
	if keep {
		head = fmt.Sprintf("POST / HTTP/1.1\r\nHost: pool\r\nContent-Length: %d\r\n\r\n", len(payload))
	}
	request := net.Buffers{[]byte(head)}
	if keep {
		request = append(request, payload)
	}
	if _, err := request.WriteTo(conn); err != nil {
		return "", false, fmt.Errorf("send (keep %v): %w", keep, err)
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", false, fmt.Errorf("read the answer (keep %v): %w", keep, err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // of a body that is read to its end
	if err != nil {
		return "", false, fmt.Errorf("read the body (keep %v): %w", keep, err)
	}
	if answer.StatusCode != http.StatusOK {
		return "", false, fmt.Errorf("answered %s: %.200s", answer.Status, text)
	}
	return string(bytes.TrimSpace(text)), answer.Close, nil
}

func (l *Load) count(body string, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &l.tally
	if err == nil {
		x.Requests++
		x.Workers[body]++
		x.Longest = max(x.Longest, took)
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		x.Refused++
	} else {
		x.Failed++
	}
	if len(x.First) < 10 {
		x.First = append(x.First, err)
	}
}
