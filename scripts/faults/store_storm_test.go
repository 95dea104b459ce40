//go:build faults

package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/store"
)

// hammered is a pool of hammers with its ledger.
type hammered struct {
	*Pool
	ledger *storeLedger
	lanes  int // all of them
	each   int // of a worker
}

// startHammers starts a pool of hammers, with so many lanes each, and waits
// until all of them work.
func startHammers(t testing.TB, workers, each int, flags ...string) *hammered {
	t.Helper()
	return startHammersWith(t, workers, each, nil, flags...)
}

// startHammersWith is startHammers with more arguments of the role.
func startHammersWith(t testing.TB, workers, each int, args []string, flags ...string) *hammered {
	t.Helper()
	l, path := newStoreLedger(t)
	p := Start(t, Options{
		Flags:   append([]string{"-w", strconv.Itoa(workers)}, flags...),
		Command: RoleCommand(t, "hammer", append([]string{path, strconv.Itoa(each)}, args...)...),
	})
	h := &hammered{p, l, workers * each, each}
	h.atWork(t)
	return h
}

// atWork waits until every lane has a writer.
func (h *hammered) atWork(t testing.TB) {
	t.Helper()
	Eventually(t, "every lane at work", func() bool {
		for i := range h.lanes {
			if h.ledger.lane(i).words[lanePID].Load() == 0 {
				return false
			}
		}
		return true
	}, func() string { return h.Err.String() })
}

// beats waits for so many more operations.
func (h *hammered) beats(t testing.TB, more uint64) {
	t.Helper()
	want := h.ledger.sum(h.lanes, laneBeats) + more
	Eventually(t, "operations go on", func() bool { return h.ledger.sum(h.lanes, laneBeats) >= want },
		func() string { return h.Err.String() })
}

// settle has the writers rest and compares the store with the ledger.
func (h *hammered) settle(t testing.TB) {
	t.Helper()
	h.atWork(t)
	h.ledger.rest(true)
	Eventually(t, "the writers rest", func() bool {
		return h.ledger.sum(h.lanes, laneResting) == uint64(h.lanes)
	}, func() string { return h.Err.String() })
	s := h.openStore(t, store.Options{})
	for n := range h.lanes {
		for i := range ownKeys {
			h.wantOwn(t, s, n, i)
		}
	}
	for i := range hammerAdds {
		h.wantCount(t, s, addKey(i), i)
	}
	for i := range hammerSwaps {
		h.wantCount(t, s, swapKey(i), hammerAdds+i)
	}
	for i := range hammerGuards {
		h.wantCount(t, s, guardKey(i), hammerAdds+hammerSwaps+i)
		wantFree(t, s, lockName(i), 0)
	}
	wantFree(t, s, hammerHeld, hammerPlaces)
	if wrong := h.ledger.sum(h.lanes, laneWrong); wrong != 0 {
		t.Errorf("%d times a worker saw what must never be\n%s", wrong, h.Err)
	}
	checkStore(t, s)
	h.ledger.rest(false)
}

func (h *hammered) wantOwn(t testing.TB, s store.Store, lane, i int) {
	t.Helper()
	intent, acked := h.ledger.lane(lane).own(i)
	e, found, err := s.Get(background, ownKey(lane, i))
	if err != nil {
		t.Errorf("get %s: %v", ownKey(lane, i), err)
		return
	}
	if _, problem := judgeOwn(e.Value, found, lane, i, acked.Load(), intent.Load()); problem != "" {
		t.Errorf("%s: %s", ownKey(lane, i), problem)
	}
}

// wantCount wants a shared counter at what was acknowledged, or above it by at
// most what was under way when writers died.
func (h *hammered) wantCount(t testing.TB, s store.Store, key string, number int) {
	t.Helper()
	var least, unknown uint64
	for i := range h.lanes {
		a, _, u := h.ledger.lane(i).count(number)
		least += a.Load()
		unknown += u.Load()
	}
	e, _, err := s.Get(background, key)
	have, bad := strconv.ParseUint(string(bytes.TrimSpace(append([]byte{'0'}, e.Value...))), 10, 64)
	if err := errors.Join(err, bad); err != nil {
		t.Errorf("get %s: %v", key, err)
		return
	}
	if have < least || have > least+unknown {
		t.Errorf("%s is %d: %d steps acknowledged, %d unknown", key, have, least, unknown)
	}
}

// wantFree wants a lock, or all places of a semaphore, to be had.
func wantFree(t testing.TB, s store.Store, name string, places int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 5*time.Second)
	defer cancel()
	var err error
	var tokens []store.Token
	for range max(1, places) {
		var token store.Token
		if places == 0 {
			token, err = s.Lock(ctx, name, 0)
		} else {
			token, err = s.Acquire(ctx, name, places, 0)
		}
		if err != nil {
			t.Errorf("%s is stuck, %d of %d taken: %v", name, len(tokens), max(1, places), err)
			break
		}
		tokens = append(tokens, token)
	}
	for _, token := range tokens {
		if err := s.Unlock(background, token); err != nil {
			t.Errorf("unlock %s: %v", name, err)
		}
	}
}

// checkStore wants a store without a fault.
func checkStore(t testing.TB, s *store.Embedded) {
	t.Helper()
	r, err := s.Check(background)
	if err != nil || !r.Clean() {
		t.Errorf("check: %v\n%s", err, r)
	}
	st, err := s.Stats(background)
	if err != nil || st.Quarantined != 0 {
		t.Errorf("%d entries were quarantined (%v): %+v", st.Quarantined, err, st)
	}
}

// Random workers are killed while all of them use the store as fast as they
// can: nothing that was acknowledged is lost, no value is torn, no lock stays.
// In a store that is nearly full they move blocks between its parts too.
func TestKillsLoseNothingOfTheStore(t *testing.T) {
	const workers, each = 4, 2
	kills := Count(t, 2000) / 2
	for _, c := range []struct {
		name, store string
		room        int64 // bytes that are left; 0: the store is empty
	}{
		{"plenty", "64MiB?full=refuse", 0},
		{"scarce", "64MiB?full=refuse", 2560 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := startHammers(t, workers, each, "--store", c.store)
			if c.room != 0 {
				h.fillUpTo(t, c.room)
			}
			random := rand.New(rand.NewPCG(21, 21))
			began := time.Now()
			for done := 0; done < kills; {
				if !h.killOne(t, random) {
					continue
				}
				if done++; done%500 == 0 {
					h.settle(t)
				}
			}
			h.settle(t)
			h.figure(t, "store-kills-"+c.name, fmt.Sprintf("%d kills in %v", kills, time.Since(began).Round(time.Second)))
			if moved := moved(mapMemfd(t, h.PID, "prefork-store")); c.room != 0 {
				Figure(t, "store-blocks", "%d blocks are in another part of the store than at first", moved)
				if moved == 0 {
					t.Error("no block was ever moved: the store was not scarce")
				}
			}
			h.wantDeaths(t, kills)
			if code, out := h.CLI(t, "store", "check"); code != 0 {
				t.Errorf("prefork store check: exit %d: %s", code, out)
			}
		})
	}
}

// moved counts the blocks that shards have from others.
func moved(memory []byte) (sum int64) {
	for sh := range int(binary.LittleEndian.Uint64(memory[layoutShards:])) {
		sum += max(0, int64(binary.LittleEndian.Uint64(memory[layoutShard+sh*layoutShardSize+layoutForeign:])))
	}
	return sum
}

// fillUpTo fills the store with entries that nobody touches, until so much is
// left.
func (h *hammered) fillUpTo(t testing.TB, room int64) {
	t.Helper()
	s := h.openStore(t, store.Options{})
	value := make([]byte, 100<<10)
	for i := 0; ; i++ {
		st, err := s.Stats(background)
		if err != nil {
			t.Fatal(err)
		}
		if st.Bytes-st.UsedBytes < room {
			return
		}
		if _, err := s.Set(background, fmt.Sprintf("ballast/%d", i), value, store.Write{}); err != nil {
			t.Fatalf("fill the store, %+v: %v", st, err)
		}
	}
}

// killOne kills a random worker that is at work, at a random moment.
func (h *hammered) killOne(t testing.TB, random *rand.Rand) bool {
	t.Helper()
	pause := time.NewTimer(time.Duration(random.IntN(3000)) * time.Microsecond)
	<-pause.C // kills must not follow a rhythm
	n := random.IntN(h.lanes)
	if h.Ended() {
		t.Fatalf("the master ended\n%s", h.Err)
	}
	_, ok := h.ledger.signalLane(n, syscall.SIGKILL)
	return ok
}

// figure states what the hammers have done.
func (h *hammered) figure(t testing.TB, name, what string) {
	t.Helper()
	s := h.openStore(t, store.Options{})
	st, err := s.Stats(background)
	if err != nil {
		t.Error(err)
	}
	longest := uint64(0)
	for i := range h.lanes {
		longest = max(longest, h.ledger.lane(i).words[laneLongest].Load())
	}
	Figure(t, name, "%s: %d operations acknowledged, %d wrong, %d locks taken over from the dead, %d times busy, %d times full, the longest operation %v",
		what, h.ledger.sum(h.lanes, laneBeats), h.ledger.sum(h.lanes, laneWrong), st.Repairs, h.ledger.sum(h.lanes, laneBusy), h.ledger.sum(h.lanes, laneFull), time.Duration(longest).Round(time.Millisecond))
	if st.Repairs == 0 && Full() {
		t.Error("no lock was ever held by one that died: the test does not hit")
	}
}

// All workers are killed at one instant, again and again.
func TestKillsOfAllWorkersLoseNothingOfTheStore(t *testing.T) {
	const workers, each = 4, 2
	h := startHammers(t, workers, each)
	rounds := Count(t, 100)
	for range rounds {
		h.beats(t, 200)
		for i := range workers {
			if _, ok := h.ledger.signalLane(i*each, syscall.SIGKILL); !ok {
				t.Fatalf("worker %d is not at work", i)
			}
		}
		h.atWork(t)
	}
	h.settle(t)
	h.figure(t, "store-kills-of-all", fmt.Sprintf("%d times all %d workers killed", rounds, workers))
	h.wantDeaths(t, rounds*workers)
}
