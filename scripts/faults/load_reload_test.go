//go:build faults

package faults

import (
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

// mixes are a load with more clients than workers and one with fewer.
var mixes = []struct{ workers, fresh, kept int }{
	{4, 8, 8},
	{8, 2, 2},
}

// Reloads, half of them with more clients than workers and half with fewer.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	rounds := Count(t, 200) / len(mixes)
	for _, m := range mixes {
		t.Run(fmt.Sprintf("%d workers %d clients", m.workers, m.fresh+m.kept), func(t *testing.T) {
			p := Start(t, Options{Flags: []string{"-w", strconv.Itoa(m.workers)}, Command: RoleCommand(t, "named")})
			s := startStorm(t, p.Addr(t), m.fresh, m.kept)
			s.until(t, 2000)
			for range rounds {
				s.Mark("reload")
				p.Reload(t)
				s.until(t, 2000)
			}
			p.settled(t, m.workers)
			r := s.stop(t)
			Figure(t, fmt.Sprintf("reload-%dw-%dc", m.workers, m.fresh+m.kept), "%d reloads: %s", rounds, brief(r))
			if Full() {
				Figure(t, fmt.Sprintf("reload-dip-%dw-%dc", m.workers, m.fresh+m.kept), "%s", dip(r))
			}
			wantClean(t, r)
		})
	}
}

// 8 -> 1 -> 8 under load: those that go finish what they have.
func TestScalingUnderLoadLosesNothing(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "8"}, Command: RoleCommand(t, "named")})
	s := startStorm(t, p.Addr(t), 8, 8)
	cycles := Count(t, 50)
	for range cycles {
		s.Mark("scale 1")
		p.scale(t, 1)
		s.until(t, 1000)
		p.settled(t, 1)
		s.Mark("scale 8")
		p.scale(t, 8)
		p.settled(t, 8)
		s.until(t, 1000)
	}
	r := s.stop(t)
	Figure(t, "scale-8-1-8", "%d cycles: %s", cycles, brief(r))
	wantClean(t, r)
}

// Stops with a drain delay, each followed by a start on the same address: no
// request fails before the door closes; from then on connects are refused, and
// nothing else ever goes wrong.
func TestStopsUnderLoadLoseNothingBeforeTheDoorCloses(t *testing.T) {
	const delay = 300 * time.Millisecond
	flags := []string{"-w", "4", "--drain-delay", delay.String()}
	p := Start(t, Options{Flags: flags, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	s := startStorm(t, addr, 8, 8)
	began := time.Now()
	type down struct{ from, to time.Duration }
	var downs []down
	stops := Count(t, 20)
	for range stops {
		s.until(t, 1500)
		from := time.Since(began) + delay
		s.Mark("stop")
		p.Stop(t)
		p = Start(t, Options{Flags: flags, Listen: []string{addr}, Command: RoleCommand(t, "named")})
		downs = append(downs, down{from, time.Since(began)})
	}
	s.until(t, 1500)
	r := s.stop(t)
	refused, wrong := 0, []load.Error{}
	for _, e := range r.Errors {
		closed := slices.ContainsFunc(downs, func(d down) bool { return e.Ended >= d.from && e.Ended <= d.to })
		if closed && e.Kind == load.Refused && e.Phase == load.Connect {
			refused++
			continue
		}
		wrong = append(wrong, e)
	}
	Figure(t, "stop-drain-delay", "%d stops: %d other errors, %d connects refused behind the closed door, in %d requests", stops, len(wrong), refused, r.Requests)
	if len(wrong) > 0 {
		t.Errorf("%d errors that no closed door explains: %v\n%s", len(wrong), wrong[:min(10, len(wrong))], r.Summary())
	}
}

// Reloads while workers are killed all the time: what fails was on a worker
// that was killed.
func TestReloadsInKillStormLoseNothingElse(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	s := startStorm(t, p.Addr(t), 8, 8)
	s.until(t, 500)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond) // 50 a second
		defer tick.Stop()
		kills := 0
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- kills
				return
			case <-tick.C:
			}
			st, err := p.status()
			if err != nil || len(Ready(st)) < 2 {
				continue
			}
			ready := Ready(st)
			pid := ready[i%len(ready)].PID
			s.MarkKill("kill", pid)
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills++
			}
		}
	}()
	committed, failed := 0, 0
	rounds := Count(t, 100)
	for range rounds {
		// A new worker that is killed before the commit fails its reload, and
		// the old generation serves on: that is no error of anybody's.
		if code, _ := p.CLI(t, "reload"); code == 0 {
			committed++
		} else {
			failed++
		}
		s.until(t, 100)
	}
	close(stop)
	kills := <-done
	p.Reload(t)
	r := s.stop(t)
	rest := r.Unexplained()
	Figure(t, "reload-in-kill-storm", "%d reloads committed, %d failed, %d kills: %d errors in %d requests, %d of them not on a killed worker", committed, failed, kills, r.Failed, r.Requests, len(rest))
	if len(rest) > 0 {
		t.Errorf("%d errors that no kill explains: %v", len(rest), rest[:min(10, len(rest))])
	}
}
