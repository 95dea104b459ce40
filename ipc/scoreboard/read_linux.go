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

// Serving is a request that a worker is serving. Its texts are what the client
// sent: any bytes, to be made printable where they are shown.
type Serving struct {
	Method, Path, Client string
	Cut                  bool // one of the texts was longer
	Since                time.Time
}

// What is believed of a counter: an exabyte of requests is a lie, and nine of
// them can be added without an overflow.
const maxCount = 1 << 59

// clockSlack is how far in the future a time may be.
const clockSlack = int64(time.Second)

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

// Serving copies the requests that have a place in a cell, and checks the
// copy, as Read does. A place that is written at that moment is left out.
func (b *Board) Serving(cell int) ([]Serving, error) {
	o := b.owner(cell)
	c := checker{now: monotonic(), wall: time.Now()}
	var all []Serving
	for i := range Places {
		if s, ok := b.serving(placeAt(cell, i), &c); ok {
			all = append(all, s)
		}
	}
	if c.err != nil {
		return nil, bad(cell, o, c.err)
	}
	return all, nil
}

// tries is how often a reader looks again at what its worker writes meanwhile.
const tries = 3

func (b *Board) serving(at int, c *checker) (Serving, bool) {
	var copied [placeSize - offLengths]byte
	for range tries {
		before := b.segment.Word(at + offSequence).Load()
		since := b.segment.Word(at + offSince).Load()
		if since == 0 || before%2 == 1 { // its writer may be dead: nothing to wait for
			return Serving{}, false
		}
		lengths := b.segment.Word(at + offLengths).Load()
		b.segment.Load(copied[offMethod-offLengths:], at+offMethod)
		if b.segment.Word(at+offSequence).Load() != before {
			continue
		}
		s := Serving{Since: c.when("begin of a request", since), Cut: lengths&cutBit != 0}
		s.Method = c.text("method", copied[offMethod-offLengths:], lengths, maxMethod)
		s.Client = c.text("client", copied[offClient-offLengths:], lengths>>lengthBits, maxClient)
		s.Path = c.text("path", copied[offPath-offLengths:], lengths>>(2*lengthBits), maxPath)
		return s, c.err == nil
	}
	return Serving{}, false
}

// checker takes values of a cell that can be true, and keeps the first error.
type checker struct {
	err  error
	now  int64     // CLOCK_MONOTONIC
	wall time.Time // at the same moment
}

func (c *checker) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *checker) count(what string, value uint64, most int64) int64 {
	n := int64(value)
	if n < 0 || n > most {
		c.fail(fmt.Errorf("%d %s (want 0 to %d)", n, what, most))
		return 0
	}
	return n
}

// when gives the time of an instant on CLOCK_MONOTONIC.
func (c *checker) when(what string, value uint64) time.Time {
	age := c.now - int64(value)
	switch {
	case value == 0:
		return time.Time{}
	case int64(value) < 0 || age < -clockSlack:
		c.fail(fmt.Errorf("%s at %d ns, which is in the future", what, value))
		return time.Time{}
	}
	return c.wall.Add(-time.Duration(age))
}

// text takes a text whose length is the low byte of a word.
func (c *checker) text(what string, from []byte, length uint64, most int) string {
	n := int(length & (1<<lengthBits - 1))
	if n > most {
		c.fail(fmt.Errorf("%s of %d bytes (max %d)", what, n, most))
		return ""
	}
	return string(from[:n])
}
