package pool_test

import (
	"fmt"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// TestRespawnDelay is DESIGN 4, Respawn, as a table: how long after its end a
// worker of a running generation is replaced, three times in a row, by how it
// ends and how far it had come.
func TestRespawnDelay(t *testing.T) {
	const never = -1
	type delays [3]time.Duration // in milliseconds
	var (
		atOnce  = delays{0, 0, 0}
		spacing = delays{50, 50, 50} // 100 ms from one spawn to the next
		doubled = delays{100, 200, 400}
		empty   = delays{never, never, never}
	)
	stages := []struct{ name, born string }{
		{"starting", "ready=never"},
		{"ready", "ready=10ms"},
		{"settled", "ready=10ms"},
	}
	for _, c := range []struct {
		end  string
		want [3]delays
	}{
		{"exit 0", [3]delays{spacing, spacing, atOnce}},
		{"exit 1", [3]delays{doubled, doubled, atOnce}},
		{"exit 124", [3]delays{doubled, doubled, atOnce}},
		{"exit 125", [3]delays{doubled, empty, empty}},
		{"exit 127", [3]delays{doubled, doubled, atOnce}},
		{"signal 9", [3]delays{spacing, spacing, atOnce}},  // KILL
		{"signal 15", [3]delays{spacing, spacing, atOnce}}, // TERM
		{"signal 2", [3]delays{spacing, spacing, atOnce}},  // INT
		{"signal 13", [3]delays{spacing, spacing, atOnce}}, // PIPE
		{"signal 4", [3]delays{doubled, doubled, atOnce}},  // ILL
		{"signal 6", [3]delays{doubled, doubled, atOnce}},  // ABRT
		{"signal 7", [3]delays{doubled, doubled, atOnce}},  // BUS
		{"signal 8", [3]delays{doubled, doubled, atOnce}},  // FPE
		{"signal 11", [3]delays{doubled, doubled, atOnce}}, // SEGV
		{"signal 31", [3]delays{doubled, doubled, atOnce}}, // SYS
	} {
		for i, stage := range stages {
			t.Run(c.end+", "+stage.name, func(t *testing.T) {
				w := newWorld()
				exec := func(format string, args ...any) {
					if err := w.exec(fmt.Sprintf(format, args...)); err != nil {
						t.Fatal(err)
					}
				}
				exec("workers ready=10ms")
				exec("begin")
				exec("run 4s")
				exec("workers %s", stage.born)
				exec("w1 exit 0")
				for round, want := range c.want[i] {
					worker := w.latest
					exec("run 50ms")
					if stage.name == "settled" {
						exec("run 3s")
					}
					ended := w.now
					exec("w%d %s", worker, c.end)
					for i := 0; w.latest == worker && i < 100; i++ {
						exec("run 10ms")
					}
					if want == never {
						if e := w.pool.Empty(); w.latest != worker || len(e) != 1 || e[0].Until >= 0 {
							t.Fatalf("the slot does not stay empty: %s", w.table())
						}
						return
					}
					if w.latest == worker {
						t.Fatalf("round %d: not replaced: %s", round+1, w.table())
					}
					next := workerOf(t, w, w.latest)
					if got := next.Spawned - ended; got != want*time.Millisecond {
						t.Fatalf("round %d: replaced after %v, want %v", round+1, got, want*time.Millisecond)
					}
				}
			})
		}
	}
}

func workerOf(t *testing.T, w *world, id pool.ID) pool.Worker {
	for _, p := range w.pool.Workers() {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("w%d is not there: %s", id, w.table())
	return pool.Worker{}
}
