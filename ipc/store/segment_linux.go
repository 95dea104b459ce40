package store

import (
	"errors"
	"fmt"
	"math"

	"prefork/ipc/shm"
)

// Segment is the master's side of a store: it makes it and hands it on, draws
// ids, and sees who holds a lock. It follows nothing that stands in it. It is
// for one goroutine.
type Segment struct {
	s    *shm.Segment
	m    memory
	g    geometry
	last uint64 // id drawn
}

// Create makes an empty store, for workers to inherit. It is sparse: it costs
// a page of memory until the first Open. The caller closes it; the store lives
// as long as anybody has it.
func Create(c Config) (*Segment, error) {
	size := c.size()
	if size > math.MaxInt {
		return nil, fmt.Errorf("create store: %s do not fit this machine's addresses", FormatSize(size))
	}
	s, err := shm.Create("store", magic, int(size))
	if err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	shards := shardsFor(size)
	g, err := geometryOf(size, shards)
	if err == nil {
		err = format(s, c, shards)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create store: %w", err), s.Close())
	}
	return &Segment{s: s, m: memory(s.Words()), g: g}, nil
}

// FD gives the descriptor that workers inherit; it stays the segment's.
func (g *Segment) FD() int { return g.s.FD() }

// Size gives the store's size in bytes.
func (g *Segment) Size() int64 { return int64(g.s.Size()) }

// DrawID gives an id for a process, never used before. The counter is in the
// segment, as processes of other masters may draw from it too; where somebody
// set it back, this master's own memory of it holds.
func (g *Segment) DrawID() uint64 {
	id := g.m.add(hNextID, 1) - 1
	if id <= g.last || id > g.last+maxIDStep {
		id = g.last + 1
		g.m.put(hNextID, id+1)
	}
	g.last = id
	return id
}

// maxIDStep is how many ids others can have drawn in between.
const maxIDStep = 1 << 40

// Shards gives how many internal locks there are.
func (g *Segment) Shards() int { return g.g.shards }

// Holder gives the id of the process that holds a shard's internal lock at
// this moment, 0 when nobody does, and its turn, which grows with each
// acquisition. Workers can write both. Not ok: there is no such shard.
func (g *Segment) Holder(sh int) (id, turn uint64, ok bool) {
	if sh < 0 || sh >= g.g.shards {
		return 0, 0, false
	}
	return g.m.get(shard(sh)+sLock) >> 1, g.m.get(shard(sh) + sTurn), true
}

// Close takes the master's mapping and descriptor away. Workers keep theirs.
func (g *Segment) Close() error { return g.s.Close() }
