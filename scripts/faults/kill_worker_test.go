//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// median gives the middle one and the last of some durations.
func median(d []time.Duration) (middle, last time.Duration) {
	slices.Sort(d)
	return d[len(d)/2], d[len(d)-1]
}

// Random workers are killed under load, one after the other: nobody is hurt
// but those whose own worker it was, and each slot is filled again soon.
func TestKillsUnderLoadHurtOnlyTheirOwn(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "8", "--log-level", "debug"}, Command: RoleCommand(t, "named")})
	s := startStorm(t, p.Addr(t), 8, 8)
	s.until(t, 500)
	kills := Count(t, 2000)
	took := make([]time.Duration, 0, kills)
	random := rand.New(rand.NewPCG(1, 1))
	for range kills {
		ready := p.settled(t, 8)
		victim := ready[random.IntN(8)]
		mark := p.Err.Len()
		s.MarkKill("kill", victim.PID)
		began := time.Now()
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.Err.WaitAfter(t, mark, fmt.Sprintf(`worker ready.*"slot":%d}`, victim.Slot))
		took = append(took, time.Since(began))
	}
	s.until(t, 500)
	r := s.stop(t)
	middle, last := median(took)
	rest := r.Unexplained()
	Figure(t, "kill-random", "%d kills, %d errors in %d requests, %d of them not on a killed worker; from the kill to the next worker ready: median %v, longest %v",
		kills, r.Failed, r.Requests, len(rest), middle.Round(100*time.Microsecond), last.Round(100*time.Microsecond))
	if len(rest) > 0 {
		t.Errorf("%d errors that no kill explains: %v", len(rest), rest[:min(10, len(rest))])
	}
	p.wantDeaths(t, kills)
	if full := Full(); full && middle > 50*time.Millisecond {
		t.Errorf("a worker took %v to be replaced (median), want less than 50 ms", middle)
	}
}

// An idle worker is killed under load: no request fails with it that had not
// been given to it.
func TestKillOfIdlePoolIsFollowedByRespawn(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	rounds := Count(t, 200)
	took := make([]time.Duration, 0, rounds)
	for i := range rounds {
		victim := p.settled(t, 4)[i%4]
		began := time.Now()
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		get(t, addr) // nobody who comes now is hurt
		p.Until(t, "its slot filled again", func(s control.Status) bool {
			return slices.ContainsFunc(Ready(s), func(w control.Worker) bool { return w.Slot == victim.Slot && w.PID != victim.PID })
		})
		took = append(took, time.Since(began))
	}
	middle, last := median(took)
	Figure(t, "kill-idle", "%d kills: the slot ready again after %v (median), %v at most, as status shows it every 10 ms", rounds, middle.Round(time.Millisecond), last.Round(time.Millisecond))
}

// All workers die at the same moment: the next answer comes soon, since the
// socket outlives them.
func TestAllWorkersKilledAtOnceAreBackSoon(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "8"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	rounds := Count(t, 100)
	took := make([]time.Duration, 0, rounds)
	var ready []control.Worker
	for range rounds {
		ready = p.settled(t, 8, ready...)
		began := time.Now()
		for _, w := range ready {
			if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		// A connection that one of them took in its last moment ends with it;
		// who asks again is served by the next generation of workers.
		for {
			if _, err := askOnce(addr, askHTTP); err == nil {
				break
			} else if errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatalf("refused: %v", err)
			}
		}
		took = append(took, time.Since(began))
	}
	middle, last := median(took)
	Figure(t, "kill-all", "%d times 8 of 8 workers killed: the next answer after %v (median), %v at most", rounds, middle.Round(time.Millisecond), last.Round(time.Millisecond))
	if last > 500*time.Millisecond {
		t.Errorf("the next answer took %v, want at most 500 ms", last)
	}
}

// A worker dies between accept and the first read: its client hears of it at
// once, and does not wait for an answer that nobody will give.
func TestKillBetweenAcceptAndReadIsHeardAtOnce(t *testing.T) {
	trap := filepath.Join(tempDir(t), "trap")
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "trap", trap)})
	addr := p.Addr(t)
	rounds := Count(t, 100)
	took := make([]time.Duration, 0, rounds)
	for i := range rounds {
		p.wantDeaths(t, i)
		p.settled(t, 2)
		if err := os.WriteFile(trap, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := conn.SetDeadline(began.Add(Patience)); err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: pool\r\n\r\n")
		if err == nil {
			_, err = bufio.NewReader(conn).ReadByte()
		}
		took = append(took, time.Since(began))
		_ = conn.Close()
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("got %v, want the end of the connection", err)
		}
	}
	middle, last := median(took)
	Figure(t, "kill-after-accept", "%d times: the client heard after %v (median), %v at most", rounds, middle.Round(time.Millisecond), last.Round(time.Millisecond))
	p.wantDeaths(t, rounds)
}

// All workers but one are stopped for long: the one serves everything, and
// the others go on when they may.
func TestStoppedWorkersHoldUpNobody(t *testing.T) {
	long := 3 * time.Second
	if Full() {
		long = 60 * time.Second
	}
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	ready := p.settled(t, 4)
	for _, w := range ready[1:] {
		if err := syscall.Kill(w.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		Eventually(t, "the worker stopped", func() bool { return processState(w.PID) == "T" })
	}
	s := startStorm(t, p.Addr(t), 4, 4)
	end := time.NewTimer(long)
	defer end.Stop()
	<-end.C // it is the time that is tested
	during := s.Done()
	for _, w := range ready[1:] {
		if err := syscall.Kill(w.PID, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	s.until(t, 500)
	if got := PIDs(p.settled(t, 4)); !slices.Equal(got, PIDs(ready)) {
		t.Errorf("workers %v after the pause, %v before", got, PIDs(ready))
	}
	r := s.stop(t)
	Figure(t, "stopped-workers", "3 of 4 workers stopped for %v: %d requests meanwhile, %d errors, longest %v", long, during, r.Failed, r.All().Max().Round(time.Millisecond))
	wantClean(t, r)
	if during == 0 {
		t.Error("nothing was answered while they were stopped")
	}
}
