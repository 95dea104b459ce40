package scoreboard

import (
	"sync/atomic"
	"time"

	"prefork/ipc/shm"
)

// Cell is this process' own cell. All methods may be called by any goroutine;
// the nil Cell, of a worker that runs without one, does nothing.
type Cell struct {
	segment *shm.Segment
	index   int
	id      uint64

	state, connections, requests, lastActive *atomic.Uint64
	accepted                                 [MaxListeners + 1]*atomic.Uint64

	// CLOCK_MONOTONIC at the moment `began`: Go's own monotonic clock is the
	// same one, without a name for its zero.
	base  int64
	began time.Time

	// The mean of Share, kept for shareAge where many cells make it dear.
	meanBits atomic.Uint64
	meanTime atomic.Int64
}

// newCell points into a segment. Preconditions: 0 <= index < MaxCells.
func newCell(s *shm.Segment, index int, monotonic int64) *Cell {
	c := &Cell{
		segment: s, index: index, id: word(s, index, offID).Load(),
		state:       word(s, index, offState),
		connections: word(s, index, offConnections),
		requests:    word(s, index, offRequests),
		lastActive:  word(s, index, offLastActive),
		base:        monotonic, began: time.Now(),
	}
	for i := range c.accepted {
		c.accepted[i] = word(s, index, offAccepted+8*i)
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
	if c != nil {
		c.connections.Add(uint64(int64(delta)))
	}
}

// AddAccepted counts one connection that was accepted on a listener, by its
// place in LISTEN_FDS from 0 on. Listeners from MaxListeners on share one count.
func (c *Cell) AddAccepted(listener int) {
	if c != nil && listener >= 0 {
		c.accepted[min(listener, MaxListeners)].Add(1)
	}
}

// AddRequests counts requests that were answered.
func (c *Cell) AddRequests(n int) {
	if c != nil {
		c.requests.Add(uint64(int64(n)))
	}
}

// Touch says that the worker did something for a client just now.
func (c *Cell) Touch() {
	if c != nil {
		c.lastActive.Store(uint64(c.now()))
	}
}

// now is CLOCK_MONOTONIC in nanoseconds, without a system call.
func (c *Cell) now() int64 { return c.base + int64(time.Since(c.began)) }

// Connections gives the worker's own count of open connections.
func (c *Cell) Connections() int64 {
	if c == nil {
		return 0
	}
	return int64(c.connections.Load())
}
