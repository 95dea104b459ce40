//go:build faults

package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"prefork/ipc/store"
	"prefork/worker"
)

// The role "hammer LEDGER LANES [unguarded]" is a worker that does nothing but
// use the store, as fast as it can, with so many goroutines, and keeps the
// ledger. Unguarded it waits for no named lock, and writes to every part of the
// store instead.
var _ = Role("hammer", func(args []string) {
	serveRole("hammer", func(w *worker.Worker) error {
		l, err := openStoreLedger(args[0])
		if err != nil {
			return err
		}
		lanes, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		for i := range lanes {
			n := w.Slot()*lanes + i
			h := &hammer{store: w.Store(), ledger: l, lane: l.lane(n), lanes: w.Workers() * lanes, guarded: len(args) < 3, random: rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(n)))}
			wg.Go(func() { h.run(w.Draining()) })
		}
		if err := w.Ready(); err != nil {
			return err
		}
		wg.Wait()
		return w.Wait()
	})
})

// hammer is one writer.
type hammer struct {
	store   store.Store
	ledger  *storeLedger
	lane    lane
	lanes   int // of the pool
	guarded bool
	random  *rand.Rand
	value   []byte
}

// Names of what all hammers share. The numbers are those of lane.count.
const (
	hammerAdds   = 4 // counters by Add: 0 to 3
	hammerSwaps  = 2 // counters by compare-and-swap: 4 and 5
	hammerGuards = 2 // counters under a named lock: 6 and 7
	hammerPlaces = 3 // of the semaphore
	hammerHeld   = "semaphore"
)

func addKey(i int) string       { return fmt.Sprintf("add/%d", i) }
func swapKey(i int) string      { return fmt.Sprintf("swap/%d", i) }
func guardKey(i int) string     { return fmt.Sprintf("guard/%d", i) }
func lockName(i int) string     { return fmt.Sprintf("lock/%d", i) }
func ownKey(lane, i int) string { return fmt.Sprintf("own/%d/%d", lane, i) }

// run works until the worker drains.
func (h *hammer) run(stop <-chan struct{}) {
	h.resume()
	h.lane.words[lanePID].Store(uint64(os.Getpid()))
	for {
		select {
		case <-stop:
			return
		default:
		}
		if h.ledger.words[0].Load() != 0 {
			h.lane.words[laneResting].Store(1)
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond): // the ledger announces nothing
			}
			continue
		}
		h.lane.words[laneResting].Store(0)
		began := time.Now()
		h.step()
		if took := uint64(time.Since(began)); took > h.lane.words[laneLongest].Load() {
			h.lane.words[laneLongest].Store(took)
		}
		h.lane.words[laneBeats].Add(1)
	}
}

// resume settles what the writer before it in this lane left: a step that was
// under way was made or was not.
func (h *hammer) resume() {
	for i := range laneCountsN {
		_, pending, unknown := h.lane.count(i)
		if pending.Load() != 0 {
			unknown.Add(1)
			pending.Store(0)
		}
	}
	for i := range ownKeys {
		intent, acked := h.lane.own(i)
		if n, ok := h.look(h.lane.number, i); ok {
			intent.Store(n)
			acked.Store(n)
		}
	}
}

// again repeats an operation that a living holder kept out.
func (h *hammer) again(op func() error) error {
	for {
		err := op()
		if !errors.Is(err, store.ErrBusy) {
			return err
		}
		h.lane.words[laneBusy].Add(1)
	}
}

// full says that an operation was not done since the store has no room, and
// counts it.
func (h *hammer) full(err error) bool {
	if !errors.Is(err, store.ErrFull) {
		return false
	}
	h.lane.words[laneFull].Add(1)
	return true
}

// wrong says what must never be.
func (h *hammer) wrong(format string, args ...any) {
	h.lane.words[laneWrong].Add(1)
	fmt.Fprintf(os.Stderr, "WRONG lane %d: %s\n", h.lane.number, fmt.Sprintf(format, args...))
}

func (h *hammer) step() {
	switch n := h.random.IntN(100); {
	case n < 45:
		h.write(h.random.IntN(ownKeys))
	case n < 65:
		h.look(h.random.IntN(h.lanes), h.random.IntN(ownKeys))
	case n < 77:
		h.add(h.random.IntN(hammerAdds))
	case n < 87:
		h.swap(h.random.IntN(hammerSwaps))
	case n < 95 && h.guarded:
		h.guard(h.random.IntN(hammerGuards))
	case n >= 95:
		h.place()
	default:
		h.spread(h.random.IntN(200))
	}
}

// spread writes a key that all of them write: so many meet every shard.
func (h *hammer) spread(i int) {
	err := h.again(func() error {
		_, err := h.store.Set(background, fmt.Sprintf("spread/%d", i), []byte("spread"), store.Write{})
		return err
	})
	if err != nil && !h.full(err) {
		h.wrong("spread %d: %v", i, err)
	}
}

// The write of number n to an own key deletes it when n%5 is 4; else it sets
// ownValue, in one of three ways.
func deletes(n uint64) bool { return n%5 == 4 }

// ownValue is the value of a write: it says whose it is, and every byte
// follows from that.
func ownValue(into []byte, lane, i int, n uint64) []byte {
	seed := (uint64(lane)<<32|uint64(i)<<16)*0x9e3779b97f4a7c15 ^ n*0xbf58476d1ce4e5b9
	size := 1024
	if n%4 == 0 {
		size += int(seed>>40) % (63 << 10)
	}
	into = into[:0]
	into = binary.LittleEndian.AppendUint64(into, uint64(lane)<<32|uint64(i))
	into = binary.LittleEndian.AppendUint64(into, n)
	for len(into) < size {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		into = binary.LittleEndian.AppendUint64(into, seed)
	}
	return into
}

// write makes the next write to an own key. Nobody else writes it, so that
// every condition must be met.
func (h *hammer) write(i int) {
	intent, acked := h.lane.own(i)
	key, before := ownKey(h.lane.number, i), acked.Load()
	n := before + 1
	there := before != 0 && !deletes(before)
	w := store.Write{TTL: time.Hour}
	switch {
	case there && n%3 == 0:
		var e store.Entry
		err := h.again(func() (err error) { e, _, err = h.store.Get(background, key); return err })
		if err != nil {
			h.wrong("get %s: %v", key, err)
			return
		}
		w.If, w.Version = store.IfVersion, e.Version
	case there && n%3 == 1:
		w.If, w.KeepTTL = store.IfPresent, true
	case !there:
		w.If = store.IfAbsent
	}
	h.value = ownValue(h.value, h.lane.number, i, n)
	intent.Store(n)
	err := h.again(func() error {
		if deletes(n) {
			found, err := h.store.Delete(background, key, 0)
			if err == nil && found != there {
				h.wrong("delete %s: found %v, want %v", key, found, there)
			}
			return err
		}
		_, err := h.store.Set(background, key, h.value, w)
		return err
	})
	if h.full(err) {
		intent.Store(before)
		return
	}
	if err != nil {
		h.wrong("write %d to %s: %v", n, key, err)
		return
	}
	acked.Store(n)
}

// look reads an own key of any lane, and gives the number of the write that
// it saw: not before the one that was acknowledged before it looked, and not
// after the one that was begun when it had looked. Of a key that is not there
// it gives the number that says so.
func (h *hammer) look(lane, i int) (n uint64, ok bool) {
	intent, acked := h.ledger.lane(lane).own(i)
	from := acked.Load()
	var e store.Entry
	var found bool
	err := h.again(func() (err error) { e, found, err = h.store.Get(background, ownKey(lane, i)); return err })
	to := intent.Load()
	if err != nil {
		h.wrong("get %s: %v", ownKey(lane, i), err)
		return 0, false
	}
	n, problem := judgeOwn(e.Value, found, lane, i, from, to)
	if problem != "" {
		h.wrong("%s: %s", ownKey(lane, i), problem)
		return 0, false
	}
	return n, true
}

// judgeOwn says which write of an own key a reader saw.
func judgeOwn(value []byte, found bool, lane, i int, from, to uint64) (n uint64, problem string) {
	if !found {
		for n := from; n <= to; n++ {
			if n == 0 || deletes(n) {
				return n, ""
			}
		}
		return 0, fmt.Sprintf("lost: not there, acknowledged %d, begun %d", from, to)
	}
	if len(value) < 16 || binary.LittleEndian.Uint64(value) != uint64(lane)<<32|uint64(i) {
		return 0, fmt.Sprintf("another's value, %d bytes", len(value))
	}
	n = binary.LittleEndian.Uint64(value[8:])
	if n < from || n > to {
		return 0, fmt.Sprintf("write %d, acknowledged %d, begun %d", n, from, to)
	}
	if deletes(n) || !bytes.Equal(value, ownValue(nil, lane, i, n)) {
		return 0, fmt.Sprintf("torn: write %d, %d bytes", n, len(value))
	}
	return n, ""
}

// stepOf makes a step of a shared counter, with its book.
func (h *hammer) stepOf(count int, op func() (made bool, err error)) {
	acked, pending, _ := h.lane.count(count)
	pending.Store(1)
	made := false
	err := h.again(func() (err error) { made, err = op(); return err })
	if err != nil && !h.full(err) {
		h.wrong("counter %d: %v", count, err)
	}
	if made {
		acked.Add(1)
	}
	// Died here it counts as unknown too, which is one too many allowed.
	pending.Store(0)
}

func (h *hammer) add(i int) {
	h.stepOf(i, func() (bool, error) {
		_, err := h.store.Add(background, addKey(i), 1)
		return err == nil, err
	})
}

func (h *hammer) swap(i int) {
	h.stepOf(hammerAdds+i, func() (bool, error) {
		e, found, err := h.store.Get(background, swapKey(i))
		if err != nil {
			return false, err
		}
		w := store.Write{If: store.IfAbsent}
		if found {
			w = store.Write{If: store.IfVersion, Version: e.Version}
		}
		_, err = h.store.Set(background, swapKey(i), nextNumber(e.Value), w)
		if errors.Is(err, store.ErrConflict) {
			return false, nil
		}
		return err == nil, err
	})
}

func nextNumber(text []byte) []byte {
	n, _ := strconv.ParseUint(string(text), 10, 64) // of none: 0
	return strconv.AppendUint(nil, n+1, 10)
}

// guard makes a step that only the named lock makes whole.
func (h *hammer) guard(i int) {
	ctx, cancel := context.WithTimeout(background, Patience)
	defer cancel()
	var t store.Token
	err := h.again(func() (err error) { t, err = h.store.Lock(ctx, lockName(i), 0); return err })
	if h.full(err) {
		return
	}
	if err != nil {
		h.wrong("lock %d: %v", i, err)
		return
	}
	me := uint64(h.lane.number) + 1
	h.ledger.owner(i).Store(me)
	h.stepOf(hammerAdds+hammerSwaps+i, func() (bool, error) {
		e, _, err := h.store.Get(background, guardKey(i))
		if err == nil {
			_, err = h.store.Set(background, guardKey(i), nextNumber(e.Value), store.Write{Token: t})
		}
		return err == nil, err
	})
	if who := h.ledger.owner(i).Load(); who != me {
		h.wrong("lock %d is held by lane %d too", i, int(who)-1)
	}
	if err := h.again(func() error { return h.store.Unlock(background, t) }); err != nil {
		h.wrong("unlock %d: %v", i, err)
	}
}

// place takes a place of a semaphore for a moment.
func (h *hammer) place() {
	var t store.Token
	var ok bool
	err := h.again(func() (err error) {
		t, ok, err = h.store.TryAcquire(background, hammerHeld, hammerPlaces, 0)
		return err
	})
	if err != nil && !h.full(err) {
		h.wrong("acquire: %v", err)
	}
	if !ok {
		return
	}
	h.add(0)
	if err := h.again(func() error { return h.store.Unlock(background, t) }); err != nil {
		h.wrong("give a place back: %v", err)
	}
}

// signalLane sends a signal to the process of a lane that is at work, and says
// whether there was one. The lane, and the others of that process, have nobody
// at work until a new one comes.
func (l *storeLedger) signalLane(n int, sig syscall.Signal) (pid int, ok bool) {
	word := &l.lane(n).words[lanePID]
	pid = int(word.Load())
	if pid == 0 {
		return 0, false
	}
	for i := range ledgerLanes {
		l.lane(i).words[lanePID].CompareAndSwap(uint64(pid), 0)
	}
	return pid, syscall.Kill(pid, sig) == nil
}
