//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

// The master is killed under load: its workers see the end of the lifeline,
// finish what they have and leave. Nothing keeps the port, nobody is left.
func TestKilledMasterLeavesNothing(t *testing.T) {
	rounds := Count(t, 50)
	requests, late, lost := int64(0), []time.Duration(nil), 0
	for range rounds {
		p := Start(t, Options{Flags: []string{"-w", "4", "--drain-timeout", "10s"}, Command: RoleCommand(t, "named")})
		addr := p.Addr(t)
		s := startStorm(t, addr, 4, 4)
		s.until(t, 300)
		s.Mark("kill")
		began := time.Now()
		p.Signal(t, syscall.SIGKILL)
		p.Wait(t)
		Eventually(t, "no process left", func() bool { return len(p.Processes()) == 0 })
		late = append(late, time.Since(began))
		r := s.stop(t)
		requests += r.Requests
		killed := r.Marks[0].At
		for _, e := range r.Errors {
			switch {
			case e.Ended < killed:
				t.Errorf("before the kill: %v", e)
			case e.Kind == load.Refused && e.Phase == load.Connect:
			case e.Answered > 0:
				// The worker lived and drained: what it had begun it finishes.
				t.Errorf("on a connection that a draining worker had: %v", e)
			default:
				lost++ // in the queue when the last worker left: nobody can accept it
			}
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("somebody keeps the port: %v", err)
		}
		_ = ln.Close()
	}
	middle, last := median(late)
	Figure(t, "kill-master", "%d kills of the master, %d requests: no process after %v (median), %v at most; %d connections were in the queue when the last worker left",
		rounds, requests, middle.Round(time.Millisecond), last.Round(time.Millisecond), lost)
}

// The master is killed while it starts workers, at any moment of it: whoever
// was forked notices, and goes.
func TestMasterKilledWhileItStartsLeavesNothing(t *testing.T) {
	rounds := Count(t, 200)
	random := rand.New(rand.NewPCG(3, 3))
	for range rounds {
		p := Start(t, Options{Flags: []string{"-w", "8"}, Command: RoleCommand(t, "named"), NoWait: true})
		after := time.NewTimer(time.Duration(random.IntN(60_000)) * time.Microsecond)
		<-after.C // a moment by chance is what is tested
		p.Signal(t, syscall.SIGKILL)
		p.Wait(t)
		Eventually(t, "no process left", func() bool { return len(p.Processes()) == 0 })
	}
	Figure(t, "kill-starting-master", "%d masters killed within 60 ms of their start: no process left", rounds)
}

// Foreign workers have no lifeline; the parent-death signal is their stop.
func TestKilledMasterStopsForeignWorkers(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "3", "--ready", "alive:0s", "--settle", "0"}, Command: []string{"sleep", "1000"}})
	workers := PIDs(p.settled(t, 3))
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
	Eventually(t, "no worker left", func() bool {
		left := p.Processes()
		return !slices.ContainsFunc(workers, func(pid int) bool { return slices.Contains(left, pid) })
	}, func() string { return fmt.Sprint(p.Processes()) })
}
