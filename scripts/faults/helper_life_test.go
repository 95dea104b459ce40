//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// Nobody pays for a helper that nobody asks for: it comes with the first
// client, and it counts in nothing.
func TestHelperComesWithTheFirstClient(t *testing.T) {
	p := asleep(t)
	// A process that is just being executed has no environment for a moment.
	Eventually(t, "the master and two workers", func() bool { return len(p.Processes()) == 3 }, func() string { return fmt.Sprint(p.Processes()) })
	if h := p.helper(t); h.State != control.StateResting || h.PID != 0 || h.UID != os.Geteuid() {
		t.Fatalf("helper %+v before the first client", h)
	}
	socket := p.helper(t).Socket
	began := time.Now()
	if reply := mustStore(t, socket, "SET", "k", "v"); reply != "OK" {
		t.Errorf("SET: %s", reply)
	}
	Figure(t, "helper-first", "the first client of the store's socket had its answer after %v", time.Since(began).Round(time.Millisecond))
	h := p.untilHelper(t, "the helper ready", inState(control.StateReady))
	s := p.Status(t)
	if len(s.Workers) != 2 || s.Wanted != 2 || h.Restarts != 0 || h.PID == 0 {
		t.Errorf("helper %+v, %d workers of %d", h, len(s.Workers), s.Wanted)
	}
	if s.Store.Kind != "memory" || s.Store.Size != 64<<20 || s.Store.Full != "evict" {
		t.Errorf("store %+v", s.Store)
	}
	if code, out := p.CLI(t, "status"); code != 0 || !strings.Contains(out, "\nstore: 64MiB of memory\n") || !strings.Contains(out, socket) {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}

// A helper that is killed has lost the commands it was at, and nothing else.
func TestKilledHelperIsReplacedAndTheDataIsThere(t *testing.T) {
	p := asleep(t)
	socket := p.helper(t).Socket
	kills := max(5, Count(t, 20))
	took := make([]time.Duration, 0, kills)
	for i := range kills {
		key, value := "k"+strconv.Itoa(i), strconv.Itoa(i*i)
		mustStore(t, socket, "SET", key, value)
		// One is started at most once in 100 ms: what is measured is not that.
		victim := p.untilHelper(t, "a helper ready for a while", func(h control.Helper) bool {
			return h.State == control.StateReady && time.Since(h.Since) > 150*time.Millisecond
		}).PID
		began := time.Now()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// A connection that the dying one still took ends; the next does not.
		for {
			reply, err := askStore(socket, "GET", key)
			if err == nil && reply == value {
				break
			}
			if err == nil {
				t.Fatalf("kill %d: %s is %q, want %q", i, key, reply, value)
			}
			if time.Since(began) > Patience {
				t.Fatal(err)
			}
		}
		took = append(took, time.Since(began))
		if got := p.untilHelper(t, "the next helper", inState(control.StateReady)); got.PID == victim || got.Restarts != i+1 {
			t.Fatalf("kill %d: helper %+v", i, got)
		}
	}
	for i := range kills {
		if got := mustStore(t, socket, "GET", "k"+strconv.Itoa(i)); got != strconv.Itoa(i*i) {
			t.Errorf("k%d is %q after all", i, got)
		}
	}
	middle, last := median(took)
	Figure(t, "helper-kill", "%d kills of the store helper: the value read again by a new client after %v (median), %v at most", kills, middle.Round(time.Millisecond), last.Round(time.Millisecond))
	if Full() && middle > 50*time.Millisecond {
		t.Errorf("%v (median), want 50 ms at most", middle)
	}
}

// What was acknowledged is there, whatever was in flight when it was killed.
func TestKillsOfTheHelperDuringCommandsLoseNothingThatWasAcknowledged(t *testing.T) {
	p := asleep(t)
	socket := p.helper(t).Socket
	const clients = 4
	var acknowledged [clients]atomic.Int64
	var commands atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			var c *respConn
			for n := int64(1); ; {
				select {
				case <-stop:
					if c != nil {
						_ = c.Close()
					}
					return
				default:
				}
				var err error
				if c == nil {
					if c, err = dialStore(socket); err != nil {
						t.Errorf("connect: %v", err) // the listener outlives every helper
						return
					}
				}
				if _, err = c.ask("SET", fmt.Sprint("c", i), strconv.FormatInt(n, 10)); err != nil {
					if _, refused := err.(errReply); refused {
						t.Errorf("SET: %v", err)
						return
					}
					_ = c.Close()
					c = nil
					continue // not acknowledged: again
				}
				acknowledged[i].Store(n)
				commands.Add(1)
				n++
			}
		})
	}
	kills := Count(t, 100)
	for range kills {
		mark := commands.Load()
		Eventually(t, "commands go on", func() bool { return commands.Load() > mark+200 })
		h := p.untilHelper(t, "a helper ready", inState(control.StateReady))
		if err := syscall.Kill(h.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	mark := commands.Load()
	Eventually(t, "commands go on", func() bool { return commands.Load() > mark+200 })
	close(stop)
	wg.Wait()
	for i := range clients {
		got, err := strconv.ParseInt(mustStore(t, socket, "GET", fmt.Sprint("c", i)), 10, 64)
		if low := acknowledged[i].Load(); err != nil || got < low || got > low+1 {
			t.Errorf("client %d: %d in the store (%v), %d acknowledged", i, got, err, low)
		}
	}
	Figure(t, "helper-kill-busy", "%d kills of the store helper under %d clients: %d commands acknowledged, none lost", kills, clients, commands.Load())
}

// A reload is none of the helper's business: a client keeps its connection.
func TestReloadKeepsTheHelperAndItsClients(t *testing.T) {
	p := asleep(t)
	socket := p.helper(t).Socket
	c, err := dialStore(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ask("SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	pid := p.helper(t).PID
	for range 3 {
		p.Reload(t)
		if got, err := c.ask("GET", "k"); err != nil || got != "v" {
			t.Fatalf("GET through a reload: %q, %v", got, err)
		}
	}
	if h := p.helper(t); h.PID != pid || h.Restarts != 0 || h.Socket != socket {
		t.Errorf("helper %+v, was %d", h, pid)
	}
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("missing: redis-cli, a client that nobody here has written")
	}
	cmd := exec.Command(cli, "-s", socket, "-r", "20", "-i", "0.05", "GET", "k")
	out := newText()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Wait(t, "v\n")
	p.Reload(t)
	if err := cmd.Wait(); err != nil || strings.Trim(out.String(), "v\n") != "" {
		t.Errorf("redis-cli: %v\n%s", err, out)
	}
}

// A stop with clients connected ends in time: they are closed when the last
// worker has left, and not before.
func TestStopWithClientsOfTheHelperEnds(t *testing.T) {
	p := Start(t, Options{
		Flags:   []string{"-w", "1", "--ready", "alive:0s", "--settle", "0s"},
		Command: []string{"sh", "-c", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"},
	})
	var conns []*respConn
	for range 20 {
		c, err := dialStore(p.helper(t).Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ask("PING"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	mark := p.Err.Len()
	p.Signal(t, syscall.SIGTERM)
	p.Err.WaitAfter(t, mark, `stop asked`)
	if got, err := conns[0].ask("PING"); err != nil || got != "PONG" {
		t.Errorf("PING while the workers drain: %q, %v", got, err)
	}
	if code, sig := p.Wait(t); code != 0 {
		t.Fatalf("exit %d, signal %v", code, sig)
	}
	for i, c := range conns {
		if _, err := c.ask("PING"); err == nil {
			t.Errorf("client %d is still served", i)
		}
	}
	text := p.Err.String()
	if worker, helper := strings.LastIndex(text, `"worker ended`), strings.LastIndex(text, `"store helper ended"`); helper < worker || worker < 0 {
		t.Errorf("the helper did not end after the last worker:\n%s", text)
	}
}

// A helper of a killed master goes too, and the next master finds its way.
func TestKilledMasterLeavesNoHelperAndItsSocketIsTakenOver(t *testing.T) {
	p := asleep(t)
	socket := p.helper(t).Socket
	c, err := dialStore(socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ask("SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
	// A client that is there keeps it for the workers' drain timeout at most.
	if got, err := c.ask("GET", "k"); err != nil || got != "v" {
		t.Errorf("GET without a master: %q, %v", got, err)
	}
	o := sleeping()
	next := Start(t, Options{Flags: append(o.Flags, "--control", p.Control), Command: o.Command})
	next.Control = p.Control
	if h := next.helper(t); h.Socket != socket {
		t.Errorf("the next master's socket is %s, was %s", h.Socket, socket)
	}
	if got := mustStore(t, socket, "GET", "k"); got != "(nil)" {
		t.Errorf("a new master has the old data: %q", got)
	}
	_ = c.Close()
	Eventually(t, "no process of the killed master left", func() bool { return len(p.Processes()) == 0 })
	next.Stop(t)
}
