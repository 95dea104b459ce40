package scoreboard

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"prefork/ipc/shm"
)

// ErrBadCell says that a cell holds what its worker cannot truthfully have
// written. The error names it; no value of the cell counts.
var ErrBadCell = errors.New("scoreboard: bad cell")

// Board is the master's side. It is for one goroutine.
type Board struct {
	segment *shm.Segment
	owners  map[int]owner         // by cell: who has it
	used    [MaxCells / 64]uint64 // a bit a cell; what the segment says of it is never read
	high    int                   // one more than the highest used cell
}

// owner is what the master wrote into a cell, from its own memory.
type owner struct {
	slot, generation int
	id               uint64
}

// Create makes an empty scoreboard. It is sparse: a page of it costs memory
// once one of its cells has been handed out.
func Create() (*Board, error) {
	s, err := shm.Create("scoreboard", magic, segmentSize)
	if err != nil {
		return nil, fmt.Errorf("create scoreboard: %w", err)
	}
	return &Board{segment: s, owners: make(map[int]owner)}, nil
}

// FD gives the descriptor that workers inherit; it stays the board's.
func (b *Board) FD() int { return b.segment.FD() }

// Used gives how many cells are handed out.
func (b *Board) Used() int { return len(b.owners) }

// Close takes the master's mapping and descriptor away. Workers keep theirs.
func (b *Board) Close() error { return b.segment.Close() }

// Alloc hands out the lowest free cell, cleared, to the process that is
// about to start; not ok when none is free. Preconditions: id is not 0, slot
// and generation are not negative.
func (b *Board) Alloc(slot, generation int, id uint64) (cell int, ok bool) {
	if id == 0 || slot < 0 || generation < 0 {
		panic(fmt.Sprintf("scoreboard: alloc of slot %d generation %d id %d", slot, generation, id))
	}
	cell = b.lowestFree()
	if cell < 0 {
		return 0, false
	}
	for i := range cellWords {
		word(b.segment, cell, 8*i).Store(0)
	}
	word(b.segment, cell, offPlace).Store(place(slot, generation))
	word(b.segment, cell, offID).Store(id) // last: a cell with an id is complete
	b.used[cell/64] |= 1 << (cell % 64)
	b.owners[cell] = owner{slot, generation, id}
	b.setHigh(max(b.high, cell+1))
	return cell, true
}

func (b *Board) lowestFree() int {
	for i, w := range b.used {
		if w != ^uint64(0) {
			return 64*i + bits.TrailingZeros64(^w)
		}
	}
	return -1
}

// Free takes a cell back. Preconditions: Alloc gave it, and its process has
// been reaped.
func (b *Board) Free(cell int) {
	if _, ok := b.owners[cell]; !ok {
		panic(fmt.Sprintf("scoreboard: free of cell %d, which is free", cell))
	}
	word(b.segment, cell, offID).Store(0)
	b.used[cell/64] &^= 1 << (cell % 64)
	delete(b.owners, cell)
	high := 0
	for i := (b.high - 1) / 64; i >= 0; i-- {
		if w := b.used[i]; w != 0 {
			high = 64*i + bits.Len64(w)
			break
		}
	}
	b.setHigh(high)
}

func (b *Board) setHigh(high int) {
	b.high = high
	b.segment.Word(offHigh).Store(uint64(high))
}

// Snapshot is a checked copy of one cell.
type Snapshot struct {
	Slot, Generation int    // as the master handed the cell out
	ID               uint64 // the same
	State            uint8  // a State constant

	Connections int64 // open now
	Accepted    int64 // since the process began, over all listeners
	Requests    int64 // since the process began
	// AcceptedBy counts by listener; the last one is all from MaxListeners on.
	AcceptedBy [MaxListeners + 1]int64

	LastActive time.Time // zero: nothing yet
}

// What is believed of a counter: an exabyte of requests is a lie, and nine of
// them can be added without an overflow.
const maxCount = 1 << 59

// clockSlack is how far in the future a last activity may be.
const clockSlack = int64(time.Second)

// Read copies a cell and checks the copy. The error is of the kind
// ErrBadCell when the worker, or another one, wrote nonsense into it.
// Preconditions: Alloc gave the cell, and it was not freed.
func (b *Board) Read(cell int) (Snapshot, error) {
	o, ok := b.owners[cell]
	if !ok {
		panic(fmt.Sprintf("scoreboard: read of cell %d, which is free", cell))
	}
	snap, err := b.read(cell, o)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w %d of slot %d generation %d: %w", ErrBadCell, cell, o.slot, o.generation, err)
	}
	return snap, nil
}

func (b *Board) read(cell int, o owner) (Snapshot, error) {
	// Each word is loaded once: a second look may see something else.
	load := func(offset int) uint64 { return word(b.segment, cell, offset).Load() }
	snap := Snapshot{Slot: o.slot, Generation: o.generation, ID: o.id}
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
	var err error
	if snap.Connections, err = count("connections", load(offConnections), maxConnections); err != nil {
		return snap, err
	}
	if snap.Requests, err = count("requests", load(offRequests), maxCount); err != nil {
		return snap, err
	}
	for i := range snap.AcceptedBy {
		if snap.AcceptedBy[i], err = count("accepted", load(offAccepted+8*i), maxCount); err != nil {
			return snap, err
		}
		snap.Accepted += snap.AcceptedBy[i]
	}
	snap.LastActive, err = when(load(offLastActive))
	return snap, err
}

// count takes a number of a cell that can be true.
func count(what string, value uint64, most int64) (int64, error) {
	n := int64(value)
	if n < 0 || n > most {
		return 0, fmt.Errorf("%d %s (want 0 to %d)", n, what, most)
	}
	return n, nil
}

// when gives the time of an instant on CLOCK_MONOTONIC.
func when(value uint64) (time.Time, error) {
	if value == 0 {
		return time.Time{}, nil
	}
	now, age := time.Now(), monotonic()-int64(value)
	if int64(value) < 0 || age < -clockSlack {
		return time.Time{}, fmt.Errorf("last activity at %d ns, which is in the future", value)
	}
	return now.Add(-time.Duration(age)), nil
}
