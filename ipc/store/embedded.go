package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dchest/siphash"

	"prefork/ipc/shm"
)

// Embedded is one process' view of the store in shared memory.
type Embedded struct {
	m          memory
	g          geometry
	full       FullPolicy
	key0, key1 uint64
	id         uint64 // this process' id, never given to another
	stripe     int    // word of its counters

	alive  func(id uint64) bool // the kernel's word on whether a process lives
	onBusy func(shard int, id uint64)
	now    func() int64 // boottime

	patience time.Duration // the constant, but for tests of recovery

	waiting      queues
	gatherAfter  atomic.Int64 // when a full store that evicts asks the other shards for free blocks again (room.go)
	collectAfter atomic.Int64 // when one that refuses looks into their inboxes again (room.go)
	reapAfter    atomic.Int64 // when a full store looks for locks of the dead again (room.go)
	closed       atomic.Bool
	close        func() error
}

// newEmbedded looks at a segment through its header, which other processes can
// write: what does not fit together is refused.
func newEmbedded(s *shm.Segment) (*Embedded, error) {
	m := memory(s.Words())
	if len(m) < offShards {
		return nil, fmt.Errorf("%w: %d bytes", shm.ErrForeign, s.Size())
	}
	if size := m.get(hSize); size != uint64(s.Size()) {
		return nil, fmt.Errorf("%w: the header says %d bytes, there are %d", ErrCorrupt, size, s.Size())
	}
	g, err := geometryOf(int64(s.Size()), int(min(m.get(hShards), maxShards+1)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	e := &Embedded{m: m, g: g, full: FullPolicy(m.get(hFull)), key0: m.get(hKey0), key1: m.get(hKey1), now: boottime, patience: patience}
	return e, nil
}

// identify gives the view the id of its process.
func (e *Embedded) identify(id uint64) {
	e.id = id
	e.stripe = offCounters + int(id%stripes)*stripeWords
}

// hashOf hashes kind and key.
func (e *Embedded) hashOf(kind uint8, key string) uint64 {
	var short [128]byte // a longer key goes through the heap
	return e.hash(kind, append(short[:0], key...))
}

func (e *Embedded) hash(kind uint8, key []byte) uint64 {
	return siphash.Hash(e.key0, e.key1^uint64(kind), key)
}

// enter checks what every operation checks first.
func (e *Embedded) enter(ctx context.Context, key, value int) error {
	if key > MaxKey {
		return fmt.Errorf("%w: key of %d bytes (max %d)", ErrTooLarge, key, MaxKey)
	}
	if value > MaxValue {
		return fmt.Errorf("%w: value of %d bytes (max %d)", ErrTooLarge, value, MaxValue)
	}
	if e.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// short says what key an error is about.
func short(key string) string {
	if len(key) > 64 {
		return key[:64] + "..."
	}
	return key
}

// Get implements Store. It takes no lock.
func (e *Embedded) Get(ctx context.Context, key string) (Entry, bool, error) {
	return e.GetInto(ctx, key, nil)
}

// GetInto is Get with memory of the caller's: Value uses it when it fits.
func (e *Embedded) GetInto(ctx context.Context, key string, into []byte) (Entry, bool, error) {
	if err := e.enter(ctx, len(key), 0); err != nil {
		return Entry{}, false, fmt.Errorf("get %q: %w", short(key), err)
	}
	var buffer [128]byte
	k := append(buffer[:0], key...)
	entry, found, err := e.look(e.hash(kindValue, k), kindValue, k, into, true)
	if err != nil {
		return Entry{}, false, fmt.Errorf("get %q: %w", short(key), err)
	}
	if found {
		e.count(cHits)
	} else {
		e.count(cMisses)
		entry = Entry{}
	}
	return entry, found, nil
}

// Peek is Get for those who look at the store and do not use it: the entry
// does not count as used, nor the call as a hit or a miss.
func (e *Embedded) Peek(ctx context.Context, key string) (Entry, bool, error) {
	if err := e.enter(ctx, len(key), 0); err != nil {
		return Entry{}, false, fmt.Errorf("peek %q: %w", short(key), err)
	}
	entry, found, err := e.look(e.hashOf(kindValue, key), kindValue, []byte(key), nil, false)
	if err != nil || !found {
		entry = Entry{}
	}
	if err != nil {
		err = fmt.Errorf("peek %q: %w", short(key), err)
	}
	return entry, found, err
}

// call is a change and its key, which are used again: what reaches hash/crc32
// lives on the heap.
type call struct {
	change
	buffer [128]byte // a longer key has memory of its own
}

var calls = sync.Pool{New: func() any { return new(call) }}

func begin(v verb, key string) *call {
	c := calls.Get().(*call)
	c.verb = v
	c.key = append(c.buffer[:0], key...)
	return c
}

// end gives the call back without anything of the caller's.
func (c *call) end() {
	c.change = change{}
	calls.Put(c)
}

// Set implements Store.
func (e *Embedded) Set(ctx context.Context, key string, value []byte, w Write) (version uint64, err error) {
	c := begin(verbSet, key)
	defer c.end()
	c.value, c.write = value, w
	if err := e.change(ctx, &c.change); err != nil {
		return 0, fmt.Errorf("set %q: %w", short(key), err)
	}
	e.count(cSets)
	return c.version, nil
}

// Delete implements Store.
func (e *Embedded) Delete(ctx context.Context, key string, version uint64) (found bool, err error) {
	c := begin(verbDelete, key)
	defer c.end()
	c.version = version
	if err := e.change(ctx, &c.change); err != nil {
		return false, fmt.Errorf("delete %q: %w", short(key), err)
	}
	if c.found {
		e.count(cDeletes)
	}
	return c.found, nil
}

// Touch implements Store. A negative ttl deletes.
func (e *Embedded) Touch(ctx context.Context, key string, ttl time.Duration) (found bool, err error) {
	c := begin(verbTouch, key)
	defer c.end()
	c.write.TTL = ttl
	if err := e.change(ctx, &c.change); err != nil {
		return false, fmt.Errorf("touch %q: %w", short(key), err)
	}
	return c.found, nil
}

// Add implements Store.
func (e *Embedded) Add(ctx context.Context, key string, delta int64) (sum int64, err error) {
	c := begin(verbAdd, key)
	defer c.end()
	c.delta = delta
	if err := e.change(ctx, &c.change); err != nil {
		return 0, fmt.Errorf("add to %q: %w", short(key), err)
	}
	e.count(cSets)
	return c.sum, nil
}

// change runs a mutation of a value.
func (e *Embedded) change(ctx context.Context, c *change) error {
	if err := e.enter(ctx, len(c.key), len(c.value)); err != nil {
		return err
	}
	c.hash = e.hash(kindValue, c.key)
	err := e.mutate(c)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrFenced) {
		e.count(cConflicts)
	}
	return err
}

// Close implements Store. The memory stays mapped, as an operation may still
// be under way in it. One that has a shard's lock is waited for: it would count
// as dead in the middle of its change.
func (e *Embedded) Close() error {
	if e.closed.Swap(true) || e.close == nil {
		return nil
	}
	until := time.Now().Add(starved)
	for sh := range e.g.shards {
		word := shard(sh) + sLock
		for held := e.m.get(word); held>>1 == e.id; held = e.m.get(word) {
			if time.Now().After(until) {
				return fmt.Errorf("close store: %w: an operation of this process is still under way", ErrBusy)
			}
			shm.Wait(&e.m[word], held, patience)
		}
	}
	return e.close()
}
