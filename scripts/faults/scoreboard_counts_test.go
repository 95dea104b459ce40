//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// calm waits until no worker has a request in flight, and gives that status.
func (p *Pool) calm(t testing.TB) control.Status {
	t.Helper()
	return p.Until(t, "no request in flight", func(s control.Status) bool {
		for _, w := range s.Workers {
			if w.InFlight > 0 {
				return false
			}
		}
		return true
	})
}

// watchTotals asks for a status again and again until the channel is closed,
// and gives the first step back that a total has made.
func (p *Pool) watchTotals(stop <-chan struct{}) <-chan error {
	result := make(chan error, 1)
	go func() {
		var last control.Totals
		looks := 0
		for {
			select {
			case <-stop:
				if looks == 0 {
					result <- errors.New("no status was ever read")
				}
				close(result)
				return
			default:
			}
			s, err := p.status()
			if err != nil {
				result <- err
				return
			}
			now := s.Totals
			if now.Requests < last.Requests || now.Accepted < last.Accepted || now.BytesIn < last.BytesIn ||
				now.BytesOut < last.BytesOut || now.Cut < last.Cut ||
				last.Latency != nil && (now.Latency == nil || now.Latency.Count < last.Latency.Count) {
				result <- fmt.Errorf("the totals went back from %+v to %+v", last, now)
				return
			}
			last = now
			looks++
		}
	}()
	return result
}

// What the cells count is what the clients count, to the last request, though
// every worker was replaced many times.
func TestCountsEqualTheClientsThroughReloads(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "3", "--linger", "200ms"}, Command: RoleCommand(t, "web")})
	stop := make(chan struct{})
	watched := p.watchTotals(stop)
	load := StartLoad(t, Dial(p.Addr(t)), 8)
	rounds := Count(t, 100)
	for range rounds {
		load.Until(t, 50)
		p.Reload(t)
	}
	tally := load.Stop()
	close(stop)
	if err := <-watched; err != nil {
		t.Error(err)
	}
	p.settled(t, 3)
	s := p.calm(t)
	if tally.Errors() != 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	got := s.Totals
	if got.Requests != int64(tally.Requests) || got.Cut != 0 || got.Latency == nil || got.Latency.Count != uint64(tally.Requests) {
		t.Errorf("totals %+v, %+v; the clients had %d answers", got, got.Latency, tally.Requests)
	}
	if s.Dropped.Snapshots != 0 {
		t.Errorf("%d cells were bad", s.Dropped.Snapshots)
	}
	Figure(t, "counts-reload", "%d requests through %d reloads: the workers counted %d, %d bytes in, %d out",
		tally.Requests, rounds, got.Requests, got.BytesIn, got.BytesOut)
}

// With kills a request that got no answer may have begun or not; all others
// are counted.
func TestCountsHoldThroughKills(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "3"}, Command: RoleCommand(t, "web")})
	stop := make(chan struct{})
	watched := p.watchTotals(stop)
	load := StartLoad(t, Dial(p.Addr(t)), 8)
	kills := Count(t, 200)
	for i := range kills {
		victims := p.Until(t, "a ready worker", func(s control.Status) bool { return len(Ready(s)) > 0 })
		victim := Ready(victims)[i%len(Ready(victims))]
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.settled(t, 3, victim)
		load.Until(t, 20)
	}
	tally := load.Stop()
	close(stop)
	if err := <-watched; err != nil {
		t.Error(err)
	}
	got := p.calm(t).Totals
	answered, failed := int64(tally.Requests), int64(tally.Failed)
	if got.Requests < answered || got.Requests > answered+failed {
		t.Errorf("%d requests begun; the clients had %d answers and %d failures", got.Requests, answered, failed)
	}
	if ended := got.Requests - got.Cut; ended < answered || ended > answered+failed {
		t.Errorf("%d requests ended; the clients had %d answers and %d failures", ended, answered, failed)
	}
	if tally.Refused != 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	Figure(t, "counts-kill", "%d kills: %d answers, %d failures; the workers began %d, of which %d were cut", kills, answered, failed, got.Requests, got.Cut)
}

// A killed worker's requests are the ones that fail, each one is counted as
// cut, and its slot's next worker begins with nothing (A2).
func TestRequestsOfAKilledWorkerAreCut(t *testing.T) {
	const held = 40
	p := Start(t, Options{Flags: []string{"-w", "2", "--accept", "naive"}, Command: RoleCommand(t, "web")})
	addr := p.Addr(t)
	var conns []net.Conn
	for range held {
		conn, err := Dial(addr)()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /held?password=x HTTP/1.1\r\nHost: pool\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	inFlight := func(s control.Status) (sum int64) {
		for _, w := range s.Workers {
			sum += max(0, w.InFlight)
		}
		return sum
	}
	p.Until(t, "all are in flight", func(s control.Status) bool { return inFlight(s) == held })
	a, err := p.ask(control.Request{Command: control.CmdStatus, Serving: true})
	if err != nil || a.Status == nil {
		t.Fatalf("%+v, %v", a, err)
	}
	victim := a.Status.Workers[0]
	if victim.InFlight < a.Status.Workers[1].InFlight {
		victim = a.Status.Workers[1]
	}
	clients := map[string]bool{} // of the victim, those that are shown
	for _, r := range victim.Serving {
		if r.Method != "POST" || r.Path != "/held" || r.Since.After(time.Now()) {
			t.Errorf("%+v is shown as served", r)
		}
		clients[r.Client] = true
	}
	if len(clients) != min(16, int(victim.InFlight)) {
		t.Errorf("%d requests are shown of %d", len(clients), victim.InFlight)
	}
	if code, text := p.CLI(t, "status", "--verbose"); code != 0 || !strings.Contains(text, "/held") || strings.Contains(text, "password") {
		t.Errorf("status --verbose: exit %d\n%s", code, text)
	}

	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.settled(t, 2, victim)
	s := p.Status(t)
	if s.Totals.Cut != victim.InFlight || s.Totals.Requests != held || inFlight(s) != held-victim.InFlight {
		t.Errorf("after the kill of a worker with %d requests: totals %+v, %d in flight", victim.InFlight, s.Totals, inFlight(s))
	}
	for _, w := range Ready(s) {
		if w.Slot == victim.Slot && (w.InFlight != 0 || w.Requests != 0 || w.BytesIn != 0 || w.Latency != nil) {
			t.Errorf("the next worker of slot %d begins with %+v", w.Slot, w)
		}
	}
	cut := int64(0)
	for _, conn := range conns {
		_, _ = io.WriteString(conn, "x") // to a connection that was reset it fails, which the answer says
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		switch {
		case err != nil:
			cut++
			delete(clients, conn.LocalAddr().String())
		case answer.StatusCode != http.StatusOK:
			t.Errorf("answered %s", answer.Status)
		case clients[conn.LocalAddr().String()]:
			t.Errorf("%v was answered, which the killed worker served", conn.LocalAddr())
		}
	}
	if cut != victim.InFlight || len(clients) != 0 {
		t.Errorf("%d requests failed, and the worker that was killed had %d; shown as its own and not failed: %v", cut, victim.InFlight, clients)
	}
	Figure(t, "requests-cut", "a worker was killed with %d of %d requests: %d failed, %d counted as cut", victim.InFlight, held, cut, s.Totals.Cut)
}
