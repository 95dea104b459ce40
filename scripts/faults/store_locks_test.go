//go:build faults

package faults

import (
	"syscall"
	"testing"
	"time"

	"prefork/ipc/store"
)

// A process that holds a named lock and is stopped keeps it until its time is
// over, and no longer: what it writes late, with the token of then, is refused.
func TestStoppedHolderKeepsItsLockUntilItsTimeIsOver(t *testing.T) {
	p := startCalled(t, 2, 1)
	a, b := p.next(t), p.next(t)
	const ttl = 1500 * time.Millisecond
	began := time.Now()
	old := a.must(t, storeCall{Verb: "Lock", Key: "task", TTL: ttl})
	if !old.Found {
		t.Fatalf("the lock is not free: %+v", old)
	}
	if r := a.must(t, storeCall{Verb: "Set", Key: "result", Value: []byte("first"), Write: store.Write{Token: old.Token}}); r.Error != "" {
		t.Fatalf("write with the lock: %s", r.Error)
	}
	if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the worker stopped", func() bool { return processState(a.PID) == "T" })
	if r := b.must(t, storeCall{Verb: "Lock", Key: "task"}); r.Found || r.Error != "" {
		t.Fatalf("the lock of a stopped process was given away: %+v", r)
	}
	fresh := b.must(t, storeCall{Verb: "Lock", Key: "task", TTL: time.Minute, Wait: Patience})
	waited := time.Since(began)
	if !fresh.Found || fresh.Token.Number <= old.Token.Number {
		t.Fatalf("the second lock %+v after %+v", fresh, old)
	}
	if waited < ttl {
		t.Errorf("the lock was given away after %v, of %v", waited, ttl)
	}
	if r := b.must(t, storeCall{Verb: "Set", Key: "result", Value: []byte("second"), Write: store.Write{Token: fresh.Token}}); r.Error != "" {
		t.Errorf("write with the second lock: %s", r.Error)
	}
	if err := syscall.Kill(a.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]storeCall{
		"write":           {Verb: "Set", Key: "result", Value: []byte("late"), Write: store.Write{Token: old.Token}},
		"compare-and-set": {Verb: "Set", Key: "result", Value: []byte("late"), Write: store.Write{Token: old.Token, If: store.IfPresent}},
		"unlock":          {Verb: "Unlock", Token: old.Token},
	} {
		if r := a.must(t, c); !r.is(store.ErrFenced) {
			t.Errorf("late %s with the old token: %q, want %q", what, r.Error, store.ErrFenced)
		}
	}
	if r := a.must(t, storeCall{Verb: "Get", Key: "result"}); string(r.Entry.Value) != "second" {
		t.Errorf("the value is %q", r.Entry.Value)
	}
	if got := p.settled(t, 2); len(got) != 2 || p.logLines(`"worker ended`) != 0 {
		t.Errorf("a stopped holder of a named lock was ended\n%s", p.Err)
	}
	Figure(t, "store-stopped-holder", "a lock of %v was taken by the next after %v, 3 late uses of the old token refused", ttl, waited.Round(time.Millisecond))
}

// The death of a process that holds a named lock, or a place of a semaphore,
// gives it to who waits, within the time of a few looks.
func TestDeathGivesNamedLocksAndPlacesToThoseThatWait(t *testing.T) {
	p := startCalled(t, 3, 1)
	b := p.next(t)
	spare := []*caller{p.next(t), p.next(t)}
	rounds := Count(t, 200)
	took := make([]time.Duration, 0, rounds)
	for i := range rounds {
		verb, places := "Lock", 0
		if i%2 == 1 {
			verb, places = "Acquire", 1
		}
		a := spare[0]
		if r := a.must(t, storeCall{Verb: verb, Key: "held", Places: places}); !r.Found {
			t.Fatalf("round %d: %s is not free: %+v", i, verb, r)
		}
		wait := b.begin(storeCall{Verb: verb, Key: "held", Places: places, Wait: Patience})
		// It waits already, or not yet: both happen.
		if r := spare[1].must(t, storeCall{Verb: verb, Key: "held", Places: places}); r.Found {
			t.Fatalf("round %d: %s was given twice", i, verb)
		}
		killed := time.Now()
		if err := syscall.Kill(a.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r, at, err := wait()
		if err != nil || !r.Found {
			t.Fatalf("round %d: who waits for a dead one's %s got %+v, %v", i, verb, r, err)
		}
		took = append(took, at.Sub(killed))
		if r := b.must(t, storeCall{Verb: "Unlock", Token: r.Token}); r.Error != "" {
			t.Errorf("round %d: unlock: %s", i, r.Error)
		}
		_ = a.conn.Close()
		spare = []*caller{spare[1], p.next(t)}
	}
	middle, last := median(took)
	Figure(t, "store-dead-holder", "%d times: who waited had it %v after the kill (median), %v at most", rounds, middle.Round(100*time.Microsecond), last.Round(time.Millisecond))
	if middle > 100*time.Millisecond {
		t.Errorf("it took %v in the median", middle)
	}
}
