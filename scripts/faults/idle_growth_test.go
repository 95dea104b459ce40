//go:build faults

package faults

import (
	"fmt"
	"slices"
	"testing"
)

// weight is what a process has.
type weight struct{ fds, threads, zombies, rss int }

func weigh(t testing.TB, pid int) weight {
	t.Helper()
	return weight{len(FDs(t, pid)), Threads(t, pid), zombies(pid), RSS(t, pid)}
}

func (w weight) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d zombies, %d KiB", w.fds, w.threads, w.zombies, w.rss)
}

// Reload after reload, nothing of the master grows. The first ones may: pools
// of memory fill, the runtime starts threads.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	reload := func(n int) {
		for range n {
			p.Reload(t)
			get(t, addr)
		}
		p.settled(t, 4)
	}
	reload(20)
	fds := FDs(t, p.PID)
	before := weigh(t, p.PID)
	rounds := Count(t, 500)
	reload(rounds)
	after := weigh(t, p.PID)
	Figure(t, "growth", "%d reloads: before %v; after %v", rounds, before, after)
	if after.fds > before.fds {
		t.Errorf("%d descriptors more: before %q, after %q", after.fds-before.fds, fds, FDs(t, p.PID))
	}
	if after.threads > before.threads+2 {
		t.Errorf("%d threads, %d before", after.threads, before.threads)
	}
	if after.zombies > 0 {
		t.Errorf("%d zombies", after.zombies)
	}
	if after.rss > before.rss+before.rss/4+2048 {
		t.Errorf("%d KiB resident, %d before", after.rss, before.rss)
	}
	// What a worker has is handed to it by name; a leak into it shows as growth.
	var counts []int
	for _, w := range p.settled(t, 4) {
		counts = append(counts, len(FDs(t, w.PID)))
	}
	if slices.Max(counts) > slices.Min(counts)+2 || slices.Max(counts) > 24 {
		t.Errorf("the workers have %v descriptors", counts)
	}
}

// A thousand workers that do nothing cost the master little: no thread each.
func TestThousandIdleWorkersAreCheap(t *testing.T) {
	const n = 1000
	p := Start(t, Options{
		Flags:   []string{"-w", fmt.Sprint(n), "--ready", "alive:0s", "--settle", "0", "--start-timeout", "0"},
		Command: []string{"sleep", "10000"}, NoWait: true,
	})
	p.settled(t, n)
	w := weigh(t, p.PID)
	Figure(t, "thousand-workers", "the master of %d idle workers: %v", n, w)
	if w.threads >= 20 {
		t.Errorf("%d threads, want fewer than 20", w.threads)
	}
	if w.rss >= 40<<10 {
		t.Errorf("%d KiB resident, want less than 40 MiB", w.rss)
	}
	p.Stop(t)
}
