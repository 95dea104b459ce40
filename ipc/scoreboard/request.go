package scoreboard

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"prefork/ipc/shm"
)

// Request is one request while it is served: Begin, then End. The zero value
// is one that has not begun; after End it may begin again. End may be called
// by several goroutines, of which one ends it.
type Request struct {
	open    atomic.Bool // begun, not ended, and there is a cell
	cell    *Cell
	began   int64
	place   int   // -1: none was free
	without *wait // then
}

// Begin says that a request is served from now on. Its texts are cut to what
// a place holds. Preconditions: it has not begun, or has ended.
func (r *Request) Begin(c *Cell, method, path, client string) {
	if c == nil {
		return
	}
	now := c.now()
	r.cell, r.began = c, now
	c.begun.Add(1)
	c.advance(now)
	if r.place = c.takePlace(); r.place >= 0 {
		c.places[r.place].write(now, method, path, client)
	} else {
		c.mu.Lock()
		r.without = c.without.add(now)
		c.unlisted.Store(c.without.oldest())
		c.mu.Unlock()
	}
	r.open.Store(true)
}

// End says that the request is over, and takes the time since its begin as
// its latency. It does nothing to one that has ended, or not begun.
func (r *Request) End() {
	if !r.open.Swap(false) {
		return
	}
	c := r.cell
	now := c.now()
	c.segment.Word(back(c.index) + offLatency + 8*bucket(now-r.began)).Add(1)
	if r.place >= 0 {
		c.places[r.place].clear()
		c.givePlace(r.place)
	} else {
		c.mu.Lock()
		c.without.remove(r.without)
		c.unlisted.Store(c.without.oldest())
		c.mu.Unlock()
	}
	c.ended.Add(1)
	c.advance(now)
}

// takePlace gives the lowest free place, -1 where all are taken.
func (c *Cell) takePlace() int {
	for {
		taken := c.taken.Load()
		i := bits.TrailingZeros32(^taken)
		if i >= Places {
			return -1
		}
		if c.taken.CompareAndSwap(taken, taken|1<<i) {
			return i
		}
	}
}

func (c *Cell) givePlace(i int) { c.taken.And(^uint32(1 << i)) }

// cellPlace is one place of this process' own cell. It belongs to the request
// that has taken it.
type cellPlace struct {
	segment                  *shm.Segment
	at                       int
	sequence, since, lengths *atomic.Uint64
	last                     uint64 // of sequence: this process' own, not read back
}

func newCellPlace(s *shm.Segment, at int) cellPlace {
	return cellPlace{segment: s, at: at, sequence: s.Word(at + offSequence), since: s.Word(at + offSince), lengths: s.Word(at + offLengths)}
}

// write fills the place. Its values belong together: the sequence is odd
// until all of them are there.
func (p *cellPlace) write(since int64, method, path, client string) {
	cut := uint64(0)
	shorten := func(text string, most int) string {
		if len(text) > most {
			cut = cutBit
			return text[:most]
		}
		return text
	}
	method, path, client = shorten(method, maxMethod), shorten(path, maxPath), shorten(client, maxClient)
	p.sequence.Store(p.last + 1)
	p.put(offMethod, method)
	p.put(offClient, client)
	p.put(offPath, path)
	p.lengths.Store(uint64(len(method)) | uint64(len(client))<<lengthBits | uint64(len(path))<<(2*lengthBits) | cut)
	p.since.Store(uint64(since))
	p.last += 2
	p.sequence.Store(p.last)
}

// put stores a text by words, the last one filled up with zeros.
func (p *cellPlace) put(offset int, text string) {
	at := p.at + offset
	for len(text) >= 8 {
		var word [8]byte
		copy(word[:], text[:8])
		p.segment.Word(at).Store(binary.NativeEndian.Uint64(word[:]))
		text, at = text[8:], at+8
	}
	if len(text) > 0 {
		var word [8]byte
		copy(word[:], text)
		p.segment.Word(at).Store(binary.NativeEndian.Uint64(word[:]))
	}
}

// clear frees the place. What else it holds stays until it is written anew,
// so the sequence need not move.
func (p *cellPlace) clear() { p.since.Store(0) }
