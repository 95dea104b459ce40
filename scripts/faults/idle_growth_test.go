//go:build faults

package faults

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// weight is what a process has.
type weight struct {
	fds                   []string
	threads, zombies, rss int
}

// looks are how many of them a weight is taken from.
const looks = 10

// weigh gives what the master has while nobody asks it anything: it closes a
// client's connection some time after the client has its answer. What it opens
// for a moment now and then is in some looks and not in others; the least of
// them has what stays.
func (p *Pool) weigh(t testing.TB) weight {
	t.Helper()
	p.noClient(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var least weight
	for i := range looks {
		w := weight{FDs(t, p.PID), Threads(t, p.PID), zombies(p.PID), RSS(t, p.PID)}
		if i == 0 || len(w.fds) < len(least.fds) {
			least.fds = w.fds
		}
		if i == 0 || w.zombies < least.zombies {
			least.zombies = w.zombies
		}
		// Threads and pages come and go with the runtime's own pace: the most.
		least.threads, least.rss = max(least.threads, w.threads), max(least.rss, w.rss)
		<-tick.C
	}
	return least
}

func (p *Pool) noClient(t testing.TB) {
	t.Helper()
	Eventually(t, "no client of the control socket", func() bool { return clients(t, p.PID) == 0 },
		func() string { return fmt.Sprintf("descriptors %q", FDs(t, p.PID)) })
}

// clients counts the stream sockets of a process that are Unix and do not
// listen: the accepted ends of a control socket (proc_pid_net(5), unix: the
// type is 0001, the flag 00010000 is that of a listener).
func clients(t testing.TB, pid int) int {
	t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", pid))
	if err != nil {
		t.Fatal(err)
	}
	accepted := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 6 && f[4] == "0001" && f[3] == "00000000" {
			accepted["socket:["+f[6]+"]"] = true
		}
	}
	n := 0
	for _, name := range FDs(t, pid) {
		if accepted[name] {
			n++
		}
	}
	return n
}

// descriptors counts what the master has open while nobody asks it anything;
// atMost waits until it has no more than that.
func (p *Pool) descriptors(t testing.TB) int {
	t.Helper()
	p.noClient(t)
	return len(FDs(t, p.PID))
}

func (p *Pool) atMost(t testing.TB, when string, n int) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s: %d descriptors at most", when, n), func() bool { return len(FDs(t, p.PID)) <= n },
		func() string { return fmt.Sprintf("descriptors %q", FDs(t, p.PID)) })
}

func (w weight) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d zombies, %d KiB", len(w.fds), w.threads, w.zombies, w.rss)
}

// What the weights wait for is there to be seen.
func TestClientOfTheControlSocketIsSeen(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "named")})
	c, err := net.Dial("unix", p.Control)
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, "one client", func() bool { return clients(t, p.PID) == 1 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "no client", func() bool { return clients(t, p.PID) == 0 })
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
	before := p.weigh(t)
	rounds := Count(t, 500)
	reload(rounds)
	after := p.weigh(t)
	Figure(t, "growth", "%d reloads: before %v; after %v", rounds, before, after)
	if len(after.fds) > len(before.fds) {
		t.Errorf("%d descriptors more: before %q, after %q", len(after.fds)-len(before.fds), before.fds, after.fds)
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
	w := p.weigh(t)
	Figure(t, "thousand-workers", "the master of %d idle workers: %v", n, w)
	if w.threads >= 20 {
		t.Errorf("%d threads, want fewer than 20", w.threads)
	}
	if w.rss >= 40<<10 {
		t.Errorf("%d KiB resident, want less than 40 MiB", w.rss)
	}
	p.Stop(t)
}
