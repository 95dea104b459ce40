//go:build faults

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/master/control"
	"prefork/worker"
)

// The role "scratched LEDGER" uses a store in which somebody flips bits: it
// may get errors, and must not get a value that nobody wrote, nor die, nor
// hang. Words of its lane: done, errors, wrong values.
var _ = Role("scratched", func(args []string) {
	serveRole("scratched", func(w *worker.Worker) error {
		l, err := openStoreLedger(args[0])
		if err != nil {
			return err
		}
		s := &scratched{store: w.Store(), lane: l.lane(w.Slot()), random: rand.New(rand.NewPCG(uint64(os.Getpid()), 0))}
		if err := w.Ready(); err != nil {
			return err
		}
		for {
			select {
			case <-w.Draining():
				return w.Wait()
			default:
				s.step()
			}
		}
	})
})

type scratched struct {
	store  store.Store
	lane   lane
	random *rand.Rand
}

const scratchedKeys = 3000

// scratchedValue follows from its key.
func scratchedValue(key string, i int) []byte {
	return bytes.Repeat([]byte(key+";"), 1+i%50)
}

func (s *scratched) step() {
	i := s.random.IntN(scratchedKeys)
	key := fmt.Sprintf("scratched/%d", i)
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	var err error
	switch n := s.random.IntN(100); {
	case n < 40:
		var e store.Entry
		var found bool
		e, found, err = s.store.Get(ctx, key)
		if err == nil && found && !bytes.Equal(e.Value, scratchedValue(key, i)) {
			s.lane.words[laneWrong].Add(1)
			fmt.Fprintf(os.Stderr, "WRONG %s: %.100q\n", key, e.Value)
		}
	case n < 75:
		_, err = s.store.Set(ctx, key, scratchedValue(key, i), store.Write{TTL: time.Duration(s.random.IntN(3)) * time.Minute})
	case n < 80:
		_, err = s.store.Delete(ctx, key, 0)
	case n < 85:
		_, err = s.store.Touch(ctx, key, time.Hour)
	case n < 88:
		_, err = s.store.Add(ctx, "scratched/sum", 1)
	case n < 94:
		var t store.Token
		if t, err = s.store.Lock(ctx, "scratched/"+strconv.Itoa(i%20), time.Second); err == nil {
			err = s.store.Unlock(ctx, t)
		}
	case n < 97:
		var t store.Token
		if t, err = s.store.Acquire(ctx, "scratched", 2, time.Second); err == nil {
			err = s.store.Unlock(ctx, t)
		}
	case n < 98:
		_, _, err = s.store.Scan(ctx, s.random.Uint64(), 100)
	case n < 99:
		_, err = s.store.Stats(ctx)
	default:
		var e store.Epoch
		if e, err = s.store.Epoch(ctx, "scratched/"+strconv.Itoa(i)); err == nil {
			err = e.Bump(ctx)
		}
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.lane.words[laneBusy].Add(1)
	} else {
		s.lane.words[laneBeats].Add(1)
	}
}

// Bits of the store's segment are flipped while workers and the helper use it.
// The master answers every time and reloads; workers and the helper get errors
// and go on.
func TestFlipsInTheStoreCrashNobody(t *testing.T) {
	const each = 10_000 // of one pool: what is scratched too much has little left to meet
	flips := Count(t, 100_000)
	var done, failed, reloads, busyKills, slow int
	for from := 0; from < flips; from += each {
		f := scratch(t, min(each, flips-from), uint64(from))
		done, failed, reloads, busyKills, slow = done+f.done, failed+f.failed, reloads+f.reloads, busyKills+f.busyKills, slow+f.slow
		if t.Failed() {
			break
		}
	}
	Figure(t, "store-flips", "%d bits flipped, %d reloads, the master answered every time; of %d operations of the workers %d ended with an error, none with a wrong value; no worker crashed, %d were killed since the flipped word of a lock named them, %d at their drain timeout",
		flips, reloads, done+failed, failed, busyKills, slow)
	if failed == 0 {
		t.Error("no operation ever failed: the flips met nothing")
	}
}

type scratches struct{ done, failed, reloads, busyKills, slow int }

func scratch(t *testing.T, flips int, seed uint64) (sum scratches) {
	const workers = 3
	batch := 10 // flips between two looks at the status
	if Full() {
		batch = 1
	}
	l, path := newStoreLedger(t)
	p := Start(t, Options{
		Flags:   []string{"-w", strconv.Itoa(workers), "--store", "4MiB", "--drain-timeout", "3s"},
		Command: RoleCommand(t, "scratched", path),
	})
	socket := p.helper(t).Socket
	beats := func() uint64 { return l.sum(workers, laneBeats) + l.sum(workers, laneBusy) }
	Eventually(t, "the store is in use", func() bool { return beats() > 5000 }, func() string { return p.Err.String() })
	memory := mapMemfd(t, p.PID, "prefork-store")
	random := rand.New(rand.NewPCG(seed, 3))
	shards := int(memory[layoutShards])
	var undo [][2]int
	mustStore(t, socket, "PING") // the helper has opened the store
	killsOfHelper := func() int {
		return p.logLines("killing a process that held the store's lock", `"helper":"store"`)
	}
	known := 0
	for n := range flips {
		at := random.IntN(len(memory))
		switch random.IntN(4) {
		case 0:
			at = random.IntN(layoutShard) // header, counters, epochs
		case 1:
			at = layoutShard + random.IntN(shards*layoutShardSize)
		}
		bit := uint(random.IntN(8))
		flipBit(memory, at, bit)
		if at < layoutIdentity {
			undo = append(undo, [2]int{at, int(bit)})
		}
		if n%batch == 0 {
			p.Status(t)
		}
		if n%100 == 50 {
			// The helper answers, or it is busy; it must not die of it, unless it is
			// what the flipped word of a lock names.
			_, err := askStore(socket, "SET", "helped/"+strconv.Itoa(n), "by the helper")
			var reply errReply
			if err != nil && !errors.As(err, &reply) {
				Eventually(t, "the helper's end is one that the master made", func() bool { return killsOfHelper() > known },
					func() string { return fmt.Sprintf("flip %d: the helper: %v\n%s", n, err, p.Err) })
			}
			known = killsOfHelper()
		}
		if (n+1)%1000 == 0 {
			p.Reload(t)
			sum.reloads++
			// What no longer looks like a store is opened by nobody: one
			// generation meets that, the next one the store again.
			for _, u := range undo {
				flipBit(memory, u[0], uint(u[1]))
			}
			undo = nil
			before := beats()
			Eventually(t, "the workers go on", func() bool { return beats() > before }, func() string { return p.Err.String() })
		}
	}
	p.Until(t, "all workers ready", func(s control.Status) bool { return len(Ready(s)) >= workers })
	if n := p.logLines("worker ended by itself"); n != 0 {
		t.Errorf("%d workers crashed", n)
	}
	if wrong := l.sum(workers, laneWrong); wrong != 0 {
		t.Errorf("%d values that nobody wrote", wrong)
	}
	sum.busyKills = p.logLines("killing a process that held the store's lock")
	sum.slow = p.logLines(`"killing a worker"`)
	sum.done, sum.failed = int(l.sum(workers, laneBeats)), int(l.sum(workers, laneBusy))
	p.Stop(t)
	return sum
}
