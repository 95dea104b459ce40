//go:build crashpoints

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/ipc/shm"
)

// The test of recovery: after every single store that an operation makes into
// the segment, the segment is copied, its process is declared dead, and another
// one uses the copy. It must find each entry as it was before the operation or
// as it is after it, and the copy in order.
//
// SIGKILL leaves a prefix of the victim's stores, so the copies are exactly
// what a killed process can leave behind. Every store of the package is one of
// memory's; TestCrashPointsSeeEveryStore says so.

const (
	victim  = 7
	rescuer = 8
	nurse   = 9 // recovers where the rescuer died
)

// view makes a process' view of a segment in which only the living live.
func view(t testing.TB, s *shm.Segment, id uint64, living ...uint64) *Embedded {
	t.Helper()
	e, err := newEmbedded(s)
	if err != nil {
		t.Fatal(err)
	}
	e.identify(id)
	e.patience = 0
	e.alive = func(id uint64) bool {
		for _, l := range living {
			if id == l {
				return true
			}
		}
		return false
	}
	return e
}

// sizes are segments of different shapes: shards, and blocks of each.
var sizes = []struct{ shards, blocks int }{{1, 60}, {2, 40}, {4, 30}}

func small(t testing.TB, shards, blocks int, full FullPolicy) *shm.Segment {
	t.Helper()
	words := offShards + shards*shardWords + shards*shards + 2*blockWords + shards*blocks*(2*blockWords+1)/2 + 64
	s := shm.Private(magic, words*8)
	if err := format(s, Config{Full: full}, shards); err != nil {
		t.Fatal(err)
	}
	memory(s.Words())[hKey0].Store(1)
	memory(s.Words())[hKey1].Store(2)
	return s
}

// state is what an entry says for comparison.
func (e *Embedded) state(kind uint8, key string) string {
	entry, found, err := e.look(e.hashOf(kind, key), kind, []byte(key), nil, true)
	if err != nil {
		return "error " + err.Error()
	}
	if !found {
		return "-"
	}
	at, _ := e.find(e.g.shardOf(e.hashOf(kind, key)), e.hashOf(kind, key), kind, []byte(key))
	return fmt.Sprintf("%x v%d e%d", entry.Value, entry.Version, e.m.get(e.g.block(at.block)+bExpiry))
}

type name struct {
	kind uint8
	key  string
}

func names() (all []name) {
	for i := range 12 {
		all = append(all, name{kindValue, keyOf(i)})
	}
	for i := range 3 {
		all = append(all, name{kindLock, "lock" + strconv.Itoa(i)}, name{kindSemaphore, "places" + strconv.Itoa(i)})
	}
	return all
}

func keyOf(i int) string { return strings.Repeat("k", i*9) + strconv.Itoa(i) }

func (e *Embedded) states() map[name]string {
	all := make(map[name]string)
	for _, n := range names() {
		all[n] = e.state(n.kind, n.key)
	}
	return all
}

// operation is one random use of the store. It gives its name.
func operation(e *Embedded, r *rand.Rand, tokens map[string]Token, clock *int64) string {
	ctx := context.Background()
	key := keyOf(r.IntN(12))
	value := make([]byte, []int{0, 5, 64, 100, 200, 300, 1000}[r.IntN(7)])
	for i := range value {
		value[i] = byte(r.Uint32())
	}
	w := Write{If: Condition(r.IntN(4)), Version: uint64(r.IntN(20))}
	if r.IntN(2) == 0 {
		w.TTL = time.Duration(1 + r.IntN(1000))
	}
	lock, places := "lock"+strconv.Itoa(r.IntN(3)), "places"+strconv.Itoa(r.IntN(3))
	var err error
	what := ""
	switch k := r.IntN(22); {
	case k < 6:
		what = "set"
		_, err = e.Set(ctx, key, value, w)
	case k < 8:
		what = "delete"
		_, err = e.Delete(ctx, key, 0)
	case k < 10:
		what = "touch"
		_, err = e.Touch(ctx, key, time.Duration(r.IntN(1000)))
	case k < 12:
		what = "add"
		_, err = e.Add(ctx, keyOf(r.IntN(3)), int64(r.IntN(1000)))
	case k < 14:
		what = "lock"
		t, ok, err := e.TryLock(ctx, lock, time.Duration(r.IntN(100)))
		if err == nil && ok {
			tokens[lock] = t
		}
	case k < 15:
		what = "unlock"
		err = e.Unlock(ctx, tokens[lock])
	case k < 17:
		what = "acquire"
		t, ok, err := e.TryAcquire(ctx, places, 3, time.Duration(r.IntN(100)))
		if err == nil && ok {
			tokens[places] = t
		}
	case k < 18:
		what = "release"
		if t := tokens[places]; r.IntN(2) == 0 {
			err = e.Unlock(ctx, t)
		} else {
			what = "renew"
			err = e.Renew(ctx, t, time.Duration(r.IntN(200)))
		}
	case k < 19:
		what = "fenced set"
		w.If, w.Token = Always, tokens[lock]
		_, err = e.Set(ctx, key, value, w)
	case k < 21:
		what = "move"
		from, to := r.IntN(e.g.shards), r.IntN(e.g.shards)
		if from == to {
			break
		}
		if err = e.lock(from); err == nil {
			e.send(from, to, 1+r.IntN(5))
			e.unlock(from)
			if err = e.lock(to); err == nil {
				e.collect(to)
				e.unlock(to)
			}
		}
	default:
		what = "time"
		*clock += int64(r.IntN(500))
		for sh := range e.g.shards {
			(&search{e: e, need: e.g.blocks}).sweepAll(sh)
		}
	}
	for _, expected := range []error{nil, ErrConflict, ErrFenced, ErrNotNumber, ErrFull, ErrRange} {
		if errors.Is(err, expected) {
			return what
		}
	}
	return what + ": " + err.Error()
}

func TestRecoveryAtEveryStoreGivesBeforeOrAfter(t *testing.T) {
	goal := 20_000
	if os.Getenv("PREFORK_TEST_FULL") == "1" {
		goal = 200_000
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PREFORK_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	total, nested := 0, 0
	perWhat := make(map[string]int)
	for run := 0; total < goal; run++ {
		shape := sizes[run%len(sizes)]
		s := small(t, shape.shards, shape.blocks, FullPolicy(run/len(sizes)%2))
		e := view(t, s, victim, victim)
		clock := int64(1e9)
		e.now = func() int64 { return clock }
		words := make([]uint64, len(e.m))
		tokens := make(map[string]Token)
		copied := shm.Private(magic, len(words)*8)
		for range 60 {
			before := e.states()
			var what string
			images := e.imagesOf(func() { what = operation(e, r, tokens, &clock) })
			if strings.Contains(what, ": ") {
				t.Fatalf("seed %d: %s", seed, what)
			}
			after := e.states()
			if what == "time" {
				before = after // what has expired is gone at once, whether it is removed or not
			}
			for i, image := range images {
				restore(copied, image)
				total++
				perWhat[what]++
				deeper := total%10 == 0
				if deeper {
					nested += dieRecovering(t, copied, words, before, after, &clock, seed, what, i)
					continue
				}
				o := view(t, copied, rescuer, rescuer)
				o.now = e.now
				verify(t, o, before, after, fmt.Sprintf("seed %d run %d: %s, store %d of %d", seed, run, what, i+1, len(images)))
			}
		}
	}
	t.Logf("figure recovery: %d recoveries, %d of recoveries that died: each before or after, all in order; %v", total, nested, perWhat)
}

// imagesOf gives the segment as it is after each store that a run makes.
func (e *Embedded) imagesOf(run func()) (images [][]uint64) {
	crashpoint = func(m memory) {
		if &m[0] != &e.m[0] {
			return
		}
		image := make([]uint64, len(m))
		for i := range m {
			image[i] = m[i].Load()
		}
		images = append(images, image)
	}
	defer func() { crashpoint = func(memory) {} }()
	run()
	return images
}

// restore makes a segment what an image says.
func restore(s *shm.Segment, image []uint64) {
	m := memory(s.Words())
	for at, word := range image {
		m[at].Store(word)
	}
}

// recoverAll takes every lock, as any operation would.
func (e *Embedded) recoverAll(t testing.TB, where string) {
	t.Helper()
	for sh := range e.g.shards {
		if err := e.lock(sh); err != nil {
			t.Fatalf("%s: shard %d: %v", where, sh, err)
		}
		e.unlock(sh)
	}
}

// tryLock takes a shard's lock when nobody has it.
func (e *Embedded) tryLock(sh int) bool {
	if !e.m.cas(shard(sh)+sLock, 0, e.id<<1) {
		return false
	}
	turn := shard(sh) + sTurn
	e.m.put(turn, e.m.get(turn)+1)
	return true
}

// goOn works in the shards that the dead process did not hold, before anybody
// has met its locks: blocks move between the shards.
func (e *Embedded) goOn() {
	for sh := range e.g.shards {
		if e.m.get(shard(sh)+sLock) != 0 || !e.tryLock(sh) {
			continue
		}
		e.collect(sh)
		e.send(sh, (sh+1)%e.g.shards, 2)
		e.unlock(sh)
	}
}

func verify(t testing.TB, o *Embedded, before, after map[name]string, where string) {
	t.Helper()
	o.goOn()
	o.recoverAll(t, where)
	report, err := o.Check(context.Background())
	if err != nil || !report.Clean() {
		t.Fatalf("%s: %v\n%s", where, err, report)
	}
	for n, st := range o.states() {
		if st != before[n] && st != after[n] {
			t.Fatalf("%s: %d %q is\n%s\nbefore\n%s\nafter\n%s", where, n.kind, n.key, st, before[n], after[n])
		}
	}
	// And it can be used: nobody is in the way, nothing was lost.
	if _, err := o.Set(context.Background(), "new", []byte("value"), Write{}); err != nil && !errors.Is(err, ErrFull) {
		t.Fatalf("%s: set afterwards: %v", where, err)
	}
	if report, err := o.Check(context.Background()); err != nil || !report.Clean() {
		t.Fatalf("%s: after a set: %v\n%s", where, err, report)
	}
}

// dieRecovering has the rescuer die at each of its stores too.
func dieRecovering(t testing.TB, s *shm.Segment, buffer []uint64, before, after map[name]string, clock *int64, seed uint64, what string, at int) (deaths int) {
	t.Helper()
	o := view(t, s, rescuer, rescuer)
	o.now = func() int64 { return *clock }
	where := fmt.Sprintf("seed %d: %s, store %d", seed, what, at+1)
	images := o.imagesOf(func() { o.recoverAll(t, where) })
	again := shm.Private(magic, len(buffer)*8)
	for i, image := range images {
		restore(again, image)
		n := view(t, again, nurse, nurse)
		n.now = o.now
		verify(t, n, before, after, fmt.Sprintf("%s, recovery's store %d of %d", where, i+1, len(images)))
		deaths++
	}
	verify(t, o, before, after, where)
	return deaths
}

func TestCrashPointsSeeEveryStore(t *testing.T) {
	s := small(t, 1, 60, RefuseFull)
	e := view(t, s, victim, victim)
	seen := make([]uint64, len(e.m))
	for i := range e.m {
		seen[i] = e.m[i].Load()
	}
	crashpoint = func(m memory) {
		if &m[0] == &e.m[0] {
			for i := range m {
				seen[i] = m[i].Load()
			}
		}
	}
	defer func() { crashpoint = func(memory) {} }()
	_, err := e.Set(context.Background(), "key", bytes.Repeat([]byte{1}, 300), Write{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.m {
		// Counters are no part of any state; a reader's note of use neither.
		if got := e.m[i].Load(); got != seen[i] && (i < offCounters || i >= offEpochs) {
			t.Errorf("word %d was set to %#x and no crash point saw it", i, got)
		}
	}
}

// A sweep goes round in several steps: who dies at the end of a round leaves
// bounds that hold for the buckets of all of them.
func TestRecoveryOfASweepKeepsTheEarliestExpiry(t *testing.T) {
	s := small(t, 1, 2000, RefuseFull)
	e := view(t, s, victim, victim)
	clock := int64(1e9)
	e.now = func() int64 { return clock }
	for i := range 900 {
		ttl := time.Duration(1000 + i)
		if e.g.bucket(0, e.hashOf(kindValue, strconv.Itoa(i)))-e.g.index > e.g.buckets/2 {
			ttl += 1_000_000 // later ones in the last buckets
		}
		if _, err := e.Set(context.Background(), strconv.Itoa(i), nil, Write{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
	}
	images := e.imagesOf(func() {
		for range 2 * (e.g.buckets/sweepStep + 1) {
			e.sweep(0, sweepStep)
		}
	})
	copied := shm.Private(magic, len(e.m)*8)
	for i, image := range images {
		if i > 20 && i%50 != 0 && image[shard(0)+sSweepHand] == images[i-1][shard(0)+sSweepHand] && image[shard(0)+sEarliest] == images[i-1][shard(0)+sEarliest] && image[shard(0)+sSweepMin] == images[i-1][shard(0)+sSweepMin] {
			continue
		}
		restore(copied, image)
		o := view(t, copied, rescuer, rescuer)
		o.now = e.now
		for range e.g.buckets/sweepStep + 2 {
			o.sweep(0, sweepStep)
			if r, err := o.Check(context.Background()); err != nil || !r.Clean() {
				t.Fatalf("store %d of %d: %v\n%s", i+1, len(images), err, r)
			}
		}
	}
}
