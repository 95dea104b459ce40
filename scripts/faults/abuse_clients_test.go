//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

// Clients that send a byte of their headers now and then hold no worker up:
// the others are served as before, and the slow ones are thrown out.
func TestSlowHeadersHoldUpNobody(t *testing.T) {
	n := 500
	if Full() {
		n = 2000
	}
	p := Start(t, Options{Flags: []string{"-w", "2", "--rlimit", "nofile=4096"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	calmRate := ask(t, addr, time.Second)
	conns := make([]net.Conn, 0, n)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: pool\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	began := time.Now()
	slowRate := ask(t, addr, time.Second)
	// Each gets a byte more twice a second; that must not keep it alive.
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	open := n
	for open > 0 && time.Since(began) < Patience {
		<-tick.C
		open = 0
		for _, c := range conns {
			if _, err := io.WriteString(c, "x"); err == nil {
				open++
			}
		}
	}
	thrown := time.Since(began)
	after := ask(t, addr, time.Second)
	Figure(t, "slow-headers", "%d clients: %.0f answers/s before, %.0f with them, %.0f after; the last one thrown out after %v", n, calmRate.Rate(), slowRate.Rate(), after.Rate(), thrown.Round(100*time.Millisecond))
	if thrown < 8*time.Second {
		t.Errorf("thrown out after %v, want the 10 s that a client has for its headers", thrown)
	}
	if open > 0 {
		t.Errorf("%d of %d slow clients are still there after %v", open, n, thrown)
	}
	for _, r := range []*load.Result{calmRate, slowRate, after} {
		wantClean(t, r)
	}
}

// ask is a load for a while.
func ask(t testing.TB, addr string, d time.Duration) *load.Result {
	t.Helper()
	r, err := load.Run(t.Context(), load.Config{Target: addr, Fresh: 2, Kept: 2}, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A worker has no descriptor left for another connection: it does not spin,
// it says so at most once a second, and the other worker takes what comes.
func TestWorkerWithoutDescriptorsSpinsNot(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	ready := p.settled(t, 2)
	// The limit comes after the worker has taken its own measure of it.
	victim := ready[0]
	open := len(FDs(t, victim.PID))
	if code, out := RunCLI(t, "prlimit", "--pid", fmt.Sprint(victim.PID), fmt.Sprintf("--nofile=%d:%d", open, open)); code != 0 {
		t.Fatal(out)
	}
	var held []net.Conn // enough that both would have to take some
	for range 16 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		held = append(held, c)
	}
	before := cpuOf(t, victim.PID)
	mark := p.Err.Len()
	began := time.Now()
	r := ask(t, addr, 3*time.Second)
	for _, c := range held {
		if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := exchange(c, bufio.NewReader(c), false); err != nil {
			t.Errorf("who waited: %v", err)
		}
	}
	used := cpuOf(t, victim.PID) - before
	lines := strings.Count(p.Err.String()[mark:], "too many open files")
	took := time.Since(began)
	Figure(t, "emfile", "3 s: the worker without descriptors used %v of processor time and wrote %d lines; %d errors in %d requests, longest %v", used, lines, r.Failed, r.Requests, r.All().Max().Round(time.Millisecond))
	wantClean(t, r)
	if float64(lines) > took.Seconds()+2 {
		t.Errorf("%d lines in %v, want one a second at most", lines, took)
	}
	if used > 1500*time.Millisecond {
		t.Errorf("it used %v of processor time", used)
	}
	p.Reload(t)
}

// More connections than the queue holds while nobody accepts: the kernel drops
// what is too many, status counts it, and who got in is served.
func TestOverflowOfTheQueueIsCounted(t *testing.T) {
	needPrograms(t, python)
	// The role takes nothing until the file is there.
	gate := newGate(t)
	p := Start(t, Options{
		Flags: []string{"-w", "1", "--ready", "alive:0s", "--settle", "0"}, Listen: []string{"127.0.0.1:0?backlog=8"},
		Command: RoleCommand(t, "behind-gate", gate.path),
	})
	addr := p.Addr(t)
	before := p.Status(t).Listeners[0]
	type end struct {
		conn net.Conn
		err  error
	}
	ends := make(chan end)
	const n = 32
	for range n {
		go func() {
			c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
			ends <- end{c, err}
		}()
	}
	var in []net.Conn
	for range n {
		if e := <-ends; e.err == nil {
			in = append(in, e.conn)
			t.Cleanup(func() { _ = e.conn.Close() })
		}
	}
	l := p.Status(t).Listeners[0]
	if l.Backlog != 8 || l.Queue < 8 {
		t.Errorf("queue %d of %d, want a full one of 8", l.Queue, l.Backlog)
	}
	if l.Overflows <= before.Overflows {
		t.Errorf("%d overflows, %d before", l.Overflows, before.Overflows)
	}
	gate.open(t)
	answered := 0
	for _, c := range in {
		if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
			t.Fatal(err)
		}
		// What the client took for connected and the kernel dropped comes in
		// when the client's ACK comes again.
		if _, _, err := exchange(c, bufio.NewReader(c), false); err != nil {
			t.Errorf("who got in: %v", err)
			continue
		}
		answered++
	}
	Figure(t, "overflow", "%d connects to a queue of 8: %d got in, %d of them answered, %d overflows counted", n, len(in), answered, l.Overflows-before.Overflows)
}

// At half of the load that the pool can take, no worker has much more of it
// than the others: those of long connections, which is where it matters.
func TestHalfLoadIsSpread(t *testing.T) {
	whole, half := time.Second, 2*time.Second
	if Full() {
		whole, half = 5*time.Second, 20*time.Second
	}
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	full, err := load.Run(t.Context(), load.Config{Target: addr, Fresh: 8, Kept: 8}, whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		with load.Config
	}{
		{"fresh", load.Config{Target: addr, Fresh: 16, Rate: full.Rate() / 2}},
		{"kept", load.Config{Target: addr, Kept: 64, Rate: full.Rate() / 2}},
	} {
		r, err := load.Run(t.Context(), c.with, half)
		if err != nil {
			t.Fatal(err)
		}
		most, sum := int64(0), int64(0)
		for _, n := range r.Workers {
			most, sum = max(most, n), sum+n
		}
		ratio := float64(most) * 4 / float64(sum)
		Figure(t, "imbalance-"+c.name, "max/mean %.2f of the answers of 4 workers at %.0f/s (status says %.2f of the connections): %v", ratio, c.with.Rate, p.Status(t).Listeners[0].Imbalance, r.Workers)
		wantClean(t, r)
		if c.name == "kept" && ratio > 1.5 {
			t.Errorf("max/mean of the answers of long connections is %.2f, want at most 1.5: %v", ratio, r.Workers)
		}
	}
}
