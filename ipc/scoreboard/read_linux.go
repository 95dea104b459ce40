package scoreboard

import (
	"fmt"
	"time"
)

// Snapshot is a checked copy of a cell's numbers.
type Snapshot struct {
	Slot, Generation int    // as the master handed the cell out
	ID               uint64 // the same
	State            uint8  // a State constant

	Connections int64 // open now
	InFlight    int64 // requests begun and not ended

	// Since the process began.
	Accepted int64 // connections, over all listeners
	Requests int64 // begun
	BytesIn  int64 // read from connections
	BytesOut int64 // written to them
	// AcceptedBy counts by listener; the last one is all from MaxListeners on.
	AcceptedBy [MaxListeners + 1]int64

	// Heartbeat is how often a request has advanced: two looks with the same
	// one have nothing between them. LastActive is when it last did; zero:
	// never yet.
	Heartbeat  uint64
	LastActive time.Time
	// Oldest is the begin of the request that is in flight the longest; zero:
	// there is none.
	Oldest time.Time
}

// Progress is how often requests have advanced after their begin. In a worker
// whose handlers are all stuck it stands still, though requests may come that
// begin, and get stuck too; two looks between which one begins may differ by it.
func (s Snapshot) Progress() int64 { return int64(s.Heartbeat) - s.Requests }

// tries is how often a reader looks again at what its worker writes meanwhile.
const tries = 3

// Read copies a cell's numbers and checks the copy. The error is of the kind
// ErrBadCell when the worker, or another one, wrote nonsense into it.
// Preconditions, here and below: Alloc gave the cell, and it was not freed.
func (b *Board) Read(cell int) (Snapshot, error) {
	o := b.owner(cell)
	snap, err := b.read(cell, o)
	if err != nil {
		return Snapshot{}, bad(cell, o, err)
	}
	o.seen.grow(Totals{Requests: snap.Requests, Accepted: snap.Accepted, BytesIn: snap.BytesIn, BytesOut: snap.BytesOut})
	return snap, nil
}

func (b *Board) owner(cell int) *owner {
	o, ok := b.owners[cell]
	if !ok {
		panic(fmt.Sprintf("scoreboard: read of cell %d, which is free", cell))
	}
	return o
}

func bad(cell int, o *owner, err error) error {
	return fmt.Errorf("%w %d of slot %d generation %d: %w", ErrBadCell, cell, o.slot, o.generation, err)
}

func (b *Board) read(cell int, o *owner) (Snapshot, error) {
	// Each word is loaded once: a second look may see something else.
	load := func(offset int) uint64 { return word(b.segment, cell, offset).Load() }
	snap := Snapshot{Slot: o.slot, Generation: o.generation, ID: o.id, Heartbeat: load(offHeartbeat)}
	if id := load(offID); id != o.id {
		return snap, fmt.Errorf("id %#x, want %#x", id, o.id)
	}
	if p, want := load(offPlace), place(o.slot, o.generation); p != want {
		return snap, fmt.Errorf("slot and generation %#x, want %#x", p, want)
	}
	state := load(offState)
	if state > lastState {
		return snap, fmt.Errorf("state %d (max %d)", state, lastState)
	}
	snap.State = uint8(state)
	c := checker{now: monotonic(), wall: time.Now()}
	snap.Connections = c.count("connections", load(offConnections), maxConnections)
	begun, ended := flight(load)
	snap.Requests = c.count("requests begun", begun, maxCount)
	snap.BytesIn = c.count("bytes read", load(offBytesIn), maxCount)
	snap.BytesOut = c.count("bytes written", load(offBytesOut), maxCount)
	for i := range snap.AcceptedBy {
		snap.AcceptedBy[i] = c.count("accepted", load(offAccepted+8*i), maxCount)
		snap.Accepted += snap.AcceptedBy[i]
	}
	snap.LastActive = c.when("last heartbeat", load(offLastActive))
	snap.InFlight = snap.Requests - c.count("requests ended", ended, maxCount)
	if snap.InFlight < 0 {
		c.fail(fmt.Errorf("%d requests ended of %d begun", ended, snap.Requests))
	}
	if snap.InFlight > 0 {
		snap.Oldest = b.oldest(cell, &c, load(offUnlisted))
	}
	return snap, c.err
}

// flight gives how many requests have begun and how many have ended. What has
// ended is loaded first, so that it is not more; where none ends meanwhile,
// the two belong to one moment.
func flight(load func(int) uint64) (begun, ended uint64) {
	ended = load(offEnded)
	for range tries {
		begun = load(offBegun)
		again := load(offEnded)
		if again == ended {
			break
		}
		ended = again
		begun = load(offBegun)
	}
	return begun, ended
}

// oldest looks at the begins alone: each is true by itself.
func (b *Board) oldest(cell int, c *checker, unlisted uint64) time.Time {
	oldest := c.when("begin of a request", unlisted)
	for i := range Places {
		since := c.when("begin of a request", b.segment.Word(placeAt(cell, i)+offSince).Load())
		if !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return oldest
}

// Latency copies a cell's latencies and checks the copy, as Read does.
func (b *Board) Latency(cell int) (Histogram, error) {
	o := b.owner(cell)
	var h Histogram
	var c checker
	var sum int64
	for i := range h {
		n := c.count("answers of a latency", b.segment.Word(back(cell)+offLatency+8*i).Load(), maxCount/Buckets)
		h[i] = uint64(n)
		sum += n
	}
	// After the answers: a request is begun before it is answered.
	if begun := c.count("requests begun", word(b.segment, cell, offBegun).Load(), maxCount); sum > begun {
		c.fail(fmt.Errorf("%d answers to %d requests", sum, begun))
	}
	if c.err != nil {
		return Histogram{}, bad(cell, o, c.err)
	}
	if o.latency == nil {
		o.latency = &Histogram{}
	}
	for i, n := range h {
		o.latency[i] = max(o.latency[i], n)
	}
	return h, nil
}
