package pool_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// TestAnHourOfTimeoutsTakesLessThanASecond lets 64 workers live for an hour of
// virtual time: a reload a minute, of which every third fails in one way or
// another, drains that last to their timeout of 30 s, a crash every two
// seconds, scaling. Nothing but NextDeadline and the workers moves the clock.
func TestAnHourOfTimeoutsTakesLessThanASecond(t *testing.T) {
	start := time.Now()
	w := newWorld()
	w.unchecked = true
	lines := func(list ...string) {
		for _, l := range list {
			if err := w.exec(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	lines("config workers=64 settle=3s start=30s drain=30s delay=5s parallel=8", "workers ready=200ms drain=never", "begin", "run 20s")
	if w.pool.Phase() != pool.PhaseRunning {
		t.Fatal("not ready: ", w.table())
	}
	r := rand.New(rand.NewPCG(1, 2))
	for minute := range 60 {
		switch minute % 3 {
		case 0:
			lines("workers calm ready=200ms drain=never", "load good")
		case 1:
			lines("load good removes", "door queued")
		case 2:
			lines("load good adds", []string{"workers ready=never", "workers exit=1@1500ms", "load app.toml:7: unknown key"}[minute/3%3])
		}
		lines("reload")
		for second := range 30 {
			list := w.pool.Workers()
			lines(fmt.Sprintf("w%d signal 9", list[r.IntN(len(list))].ID), "run 2s")
			if second == 10 {
				lines("door empty", "workers calm ready=200ms drain=never", []string{"scale -3", "scale +3"}[minute%2])
			}
		}
	}
	ready, _, _ := w.pool.Counts()
	if want := w.pool.Wanted(); ready != want {
		t.Errorf("%d of %d ready: %s", ready, want, w.table())
	}
	if w.now < time.Hour {
		t.Errorf("only %v went by", w.now)
	}
	lines("stop", "run 36s")
	if w.done == nil || w.done.Code != 0 {
		t.Errorf("the stop ended with %v: %s", w.done, w.table())
	}
	took := time.Since(start)
	t.Logf("%v, %d steps, %d generations, in %v", w.now, w.steps, w.pool.Generation(), took)
	if took > time.Second && !raceEnabled {
		t.Errorf("it took %v", took)
	}
}

// big is a running pool of n workers.
func big(b testing.TB, n int) *world {
	w := newWorld()
	w.unchecked = true
	for _, l := range []string{
		fmt.Sprintf("config workers=%d settle=0s parallel=8", n), "workers ready=1ms", "begin", "run 1h",
	} {
		if err := w.exec(l); err != nil {
			b.Fatal(err)
		}
	}
	if ready, _, _ := w.pool.Counts(); ready != n {
		b.Fatalf("%d of %d ready", ready, n)
	}
	return w
}

// TestAStepCostsTheSameWithThousandsOfWorkers guards the benchmarks' result
// coarsely: a datagram that changes nothing took 6,000 times as long with 2,000
// workers as with 20 when a Step was quadratic; it takes as long now.
func TestAStepCostsTheSameWithThousandsOfWorkers(t *testing.T) {
	cost := func(n int) time.Duration {
		w := big(t, n)
		best := time.Hour
		for range 20 {
			start := time.Now()
			for i := range 100 {
				w.pool.Step(w.now, pool.Notified{ID: pool.ID(1 + i)})
				w.pool.NextDeadline()
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	few, many := cost(20), cost(2000)
	t.Logf("100 datagrams: %v with 20 workers, %v with 2,000", few, many)
	if many > 100*few {
		t.Errorf("100 datagrams take %v with 20 workers and %v with 2,000", few, many)
	}
}

var sizes = []int{20, 200, 2000}

// BenchmarkDatagram is a Step that changes nothing: a WATCHDOG=1.
func BenchmarkDatagram(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := big(b, n)
			for i := 0; b.Loop(); i++ {
				w.pool.Step(w.now, pool.Notified{ID: pool.ID(1 + i%n)})
				w.pool.NextDeadline()
			}
		})
	}
}

// BenchmarkRespawn is the whole way of one worker: end, spawn, executed, ready.
func BenchmarkRespawn(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := big(b, n)
			list := w.pool.Workers()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				w.now += time.Second
				id := list[i%n].ID
				for _, ev := range []pool.Event{pool.Exited{ID: id, Signal: 9}} {
					for _, c := range w.pool.Step(w.now, ev) {
						list[i%n].ID = c.(pool.Spawn).ID
					}
				}
				id = list[i%n].ID
				w.pool.Step(w.now, pool.Spawned{ID: id, PID: i + 100000})
				w.pool.Step(w.now, pool.Executed{ID: id})
				w.pool.Step(w.now, pool.Notified{ID: id, Ready: true})
				w.pool.NextDeadline()
			}
		})
	}
}

// BenchmarkReload is a whole reload, with this world around it. While workers
// start and drain a Step passes over all of them: 4 us a worker with 20, 40 us
// with 2,000, where the fork of one takes a millisecond.
func BenchmarkReload(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := big(b, n)
			for b.Loop() {
				for _, l := range []string{"reload", "run 10m"} {
					if err := w.exec(l); err != nil {
						b.Fatal(err)
					}
				}
			}
			if w.pool.Draining() != 0 || w.pool.Generation() < 2 {
				b.Fatal("not reloaded: ", w.pool.Generation())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "us/worker")
		})
	}
}
