//go:build faults

package faults

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// served asks on a connection and gives who answered, and after how long.
func served(conn net.Conn, began time.Time) (pid int, took time.Duration, err error) {
	if err := conn.SetDeadline(began.Add(Patience)); err != nil {
		return 0, 0, err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: pool\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, 0, err
	}
	text, err := io.ReadAll(bufio.NewReader(conn))
	took = time.Since(began)
	if err != nil {
		return 0, took, err
	}
	_, body, ok := strings.Cut(string(text), "\r\n\r\n")
	if !ok {
		return 0, took, errors.New("no answer: " + string(text))
	}
	pid, err = strconv.Atoi(strings.TrimSpace(body))
	return pid, took, err
}

// slow counts what took longer than the 50 ms in which a connection whose
// wake-up was lost must be served. The figure is asserted at full count, on a
// machine that does nothing else; that it is served at all always.
func slow(took []time.Duration) int {
	n := 0
	for _, d := range took {
		if d > 50*time.Millisecond {
			n++
		}
	}
	return n
}

// A worker is woken for a connection and killed before it accepts it. Nothing
// else comes: the connection is served by another worker, since the master
// has those look who were not woken.
func TestConnectionOfWorkerKilledBeforeAcceptIsServed(t *testing.T) {
	h := newHolder(t)
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "held", h.path)})
	addr := p.Addr(t)
	rounds := Count(t, 1000)
	took := make([]time.Duration, 0, rounds)
	var gone []control.Worker
	for i := range rounds {
		gone = p.settled(t, 4, gone...)
		conn, call := p.holdOne(t, h, addr)
		began := time.Now()
		if err := syscall.Kill(call.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		pid, d, err := served(conn, began)
		_ = conn.Close()
		if err != nil || pid == call.pid {
			t.Fatalf("round %d: worker %d was killed before accept: answered by %d, %v", i, call.pid, pid, err)
		}
		took = append(took, d)
		gone = slices.DeleteFunc(gone, func(w control.Worker) bool { return w.PID != call.pid })
	}
	late := slow(took)
	middle, last := median(took)
	Figure(t, "wakeup-killed", "%d of %d connections served, %d of them within 50 ms; median %v, longest %v", len(took), rounds, len(took)-late, middle.Round(10*time.Microsecond), last.Round(10*time.Microsecond))
	if Full() && late > 0 {
		t.Errorf("%d of %d connections took more than 50 ms", late, rounds)
	}
}

// A worker is woken for a connection and told to drain before it accepts it:
// it serves what it was woken for. In every second round it is held right
// there; in the others the signal and the connection race.
func TestConnectionOfWorkerDrainedBeforeAcceptIsServed(t *testing.T) {
	h := newHolder(t)
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "held", h.path)})
	addr := p.Addr(t)
	rounds := Count(t, 1000)
	took := make([]time.Duration, 0, rounds)
	random := rand.New(rand.NewPCG(7, 7))
	var gone []control.Worker
	own := 0
	for i := range rounds {
		workers := p.settled(t, 4, gone...)
		var began time.Time
		var told int
		var conn net.Conn
		var err error
		if i%2 == 0 {
			var call heldCall
			conn, call = p.holdOne(t, h, addr)
			told, began = call.pid, time.Now()
			if err := syscall.Kill(told, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if random.IntN(2) == 0 {
				// The signal is taken and the drain begun, most likely.
				moment := time.NewTimer(2 * time.Millisecond)
				<-moment.C
			}
			call.release()
		} else {
			// The first in the queue is the one that is woken; nobody knows which.
			told = workers[random.IntN(4)].PID
			pause := time.Duration(random.IntN(300)) * time.Microsecond
			began = time.Now()
			if err := syscall.Kill(told, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for time.Since(began) < pause { // shorter than any timer is exact
			}
			if conn, err = net.Dial("tcp", addr); err != nil {
				t.Fatal(err)
			}
		}
		pid, d, err := served(conn, began)
		_ = conn.Close()
		if err != nil {
			t.Fatalf("round %d: worker %d was told to drain before accept: %v", i, told, err)
		}
		if pid == told {
			own++
		}
		if d > 50*time.Millisecond {
			t.Logf("round %d: worker %d was told to drain: answered by %d after %v", i, told, pid, d)
		}
		took = append(took, d)
		gone = []control.Worker{{PID: told}}
	}
	late := slow(took)
	middle, last := median(took)
	Figure(t, "wakeup-drained", "%d of %d connections served, %d by the worker that drained, %d within 50 ms; median %v, longest %v",
		len(took), rounds, own, len(took)-late, middle.Round(10*time.Microsecond), last.Round(10*time.Microsecond))
	if Full() && late > 0 {
		t.Errorf("%d of %d connections took more than 50 ms", late, rounds)
	}
}

// holdOne connects, and gives the connection and the accept4 of the worker
// that was woken for it, which waits.
func (p *Pool) holdOne(t testing.TB, h *holder, addr string) (net.Conn, heldCall) {
	t.Helper()
	for {
		h.arm()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		var call heldCall
		select {
		case call = <-h.held:
		case <-time.After(Patience):
			t.Fatal("no worker was woken")
		}
		if p.Status(t).Listeners[0].Queue == 1 {
			return conn, call
		}
		// A worker that had just started accepted it with its first look,
		// and is held in the one after.
		call.release()
		if _, _, err := served(conn, time.Now()); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
}
