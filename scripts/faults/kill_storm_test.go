//go:build faults

package faults

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// Many workers die at once, so that one SIGCHLD stands for many: each is
// reaped, by the one who waits, and told of, and its slot is filled again.
func TestDeathsOfManyAtOnceAreAllReaped(t *testing.T) {
	const n = 64
	rounds := Count(t, 1000)
	if !Full() {
		rounds = min(rounds, 15) // each starts 64 processes: a quarter of a second
	}
	p := Start(t, Options{
		Flags:   []string{"-w", "64", "--ready", "alive:0s", "--settle", "0", "--start-parallel", "64"},
		Command: []string{"sleep", "1000"},
	})
	began := time.Now()
	var all []control.Worker
	for range rounds {
		all = p.settled(t, n, all...)
		for _, w := range all {
			if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.settled(t, n, all...)
	took := time.Since(began)
	p.wantDeaths(t, n*rounds)
	for _, sign := range []string{"cannot wait", "cannot reap", "no child"} {
		if strings.Contains(p.Err.String(), sign) {
			t.Errorf("the log has %q", sign)
		}
	}
	if z := zombies(p.PID); z != 0 {
		t.Errorf("%d zombies", z)
	}
	Figure(t, "kill-64-at-once", "%d times: %d deaths, as many lines of the log, no zombie; %v a round", rounds, n*rounds, (took / time.Duration(rounds)).Round(time.Millisecond))
}

// zombies counts the children of a process that have ended and are not
// waited for.
func zombies(pid int) int {
	n := 0
	for _, child := range children(pid) {
		if processState(child) == "Z" {
			n++
		}
	}
	return n
}

// A storm of every signal that a master may get: it lives, ends in a legal
// state, and works.
func TestSignalStormEndsInLegalState(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	s := startStorm(t, addr, 2, 2)
	s.until(t, 100)
	// As many of TTIN as of TTOU in each block, so that the count comes home.
	block := []syscall.Signal{
		syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGALRM,
	}
	random := rand.New(rand.NewPCG(5, 5))
	total := Count(t, 10_000)
	pace := time.NewTicker(500 * time.Microsecond)
	defer pace.Stop()
	for sent := 0; sent < total; sent += len(block) {
		for _, i := range random.Perm(len(block)) {
			p.Signal(t, block[i])
		}
		<-pace.C
	}
	calm := p.Until(t, "a calm pool", func(s control.Status) bool {
		return s.Phase == "running" && s.Ready && len(s.Workers) == s.Wanted && len(Ready(s)) == s.Wanted
	})
	if calm.Wanted < 1 || calm.Wanted > 4+total/len(block) {
		t.Errorf("%d workers wanted after the storm", calm.Wanted)
	}
	p.scale(t, 4)
	p.Reload(t)
	p.settled(t, 4)
	s.until(t, 100)
	r := s.stop(t)
	Figure(t, "signal-storm", "%d signals: generation %d, %d workers wanted, %d errors in %d requests", total, calm.Generation, calm.Wanted, r.Failed, r.Requests)
	wantClean(t, r)
}
