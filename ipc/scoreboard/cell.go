package scoreboard

import (
	"sync"
	"sync/atomic"
	"time"

	"prefork/ipc/shm"
)

// Cell is this process' own cell. All methods may be called by any goroutine;
// the nil Cell, of a worker that runs without one, does nothing.
type Cell struct {
	segment *shm.Segment
	index   int

	state, connections                  *atomic.Uint64
	begun, ended, heartbeat, lastActive *atomic.Uint64
	bytesIn, bytesOut, unlisted         *atomic.Uint64
	accepted                            [MaxListeners + 1]*atomic.Uint64
	places                              [Places]cellPlace
	taken                               atomic.Uint32 // a bit a place; what the segment says of it is never read
	held                                atomic.Int64  // connections; likewise

	mu      sync.Mutex
	without waiting // guarded by mu: requests that have no place

	// CLOCK_MONOTONIC at the moment `start`: Go's own monotonic clock is the
	// same one, without a name for its zero.
	base  int64
	start time.Time

	// The mean of Share, kept for shareAge where many cells make it dear.
	meanBits atomic.Uint64
	meanTime atomic.Int64
}

// newCell points into a segment. Preconditions: 0 <= index < MaxCells.
func newCell(s *shm.Segment, index int, monotonic int64) *Cell {
	c := &Cell{
		segment: s, index: index,
		state:       word(s, index, offState),
		connections: word(s, index, offConnections),
		begun:       word(s, index, offBegun),
		ended:       word(s, index, offEnded),
		heartbeat:   word(s, index, offHeartbeat),
		lastActive:  word(s, index, offLastActive),
		bytesIn:     word(s, index, offBytesIn),
		bytesOut:    word(s, index, offBytesOut),
		unlisted:    word(s, index, offUnlisted),
		base:        monotonic, start: time.Now(),
	}
	for i := range c.accepted {
		c.accepted[i] = word(s, index, offAccepted+8*i)
	}
	for i := range c.places {
		c.places[i] = newCellPlace(s, placeAt(index, i))
	}
	return c
}

// SetState says what the worker does now, a State constant.
func (c *Cell) SetState(state uint8) {
	if c != nil {
		c.state.Store(uint64(state))
	}
}

// AddConnections counts connections that were opened, or closed with a
// negative number.
func (c *Cell) AddConnections(delta int) {
	if c == nil {
		return
	}
	// Stored, not added: what another process scribbled there goes with the
	// next change. Whoever was overtaken stores the newer number.
	for now := c.held.Add(int64(delta)); ; {
		c.connections.Store(uint64(now))
		last := now
		if now = c.held.Load(); now == last {
			return
		}
	}
}

// AddAccepted counts one connection that was accepted on a listener, by its
// place in LISTEN_FDS from 0 on. Listeners from MaxListeners on share one count.
func (c *Cell) AddAccepted(listener int) {
	if c != nil && listener >= 0 {
		c.accepted[min(listener, MaxListeners)].Add(1)
	}
}

// AddRead counts bytes that were read from a connection.
func (c *Cell) AddRead(bytes int64) {
	if c != nil && bytes > 0 {
		c.bytesIn.Add(uint64(bytes))
	}
}

// AddWritten counts bytes that were written to a connection.
func (c *Cell) AddWritten(bytes int64) {
	if c != nil && bytes > 0 {
		c.bytesOut.Add(uint64(bytes))
	}
}

// Advance says that a request has advanced just now: bytes of it were read or
// written, or of what it became. Begin and End say so themselves.
func (c *Cell) Advance() {
	if c != nil {
		c.advance(c.now())
	}
}

func (c *Cell) advance(now int64) {
	c.heartbeat.Add(1)
	c.lastActive.Store(uint64(now))
}

// now is CLOCK_MONOTONIC in nanoseconds, without a system call.
func (c *Cell) now() int64 { return c.base + int64(time.Since(c.start)) }

// Connections gives the worker's own count of open connections.
func (c *Cell) Connections() int64 {
	if c == nil {
		return 0
	}
	return c.held.Load()
}
