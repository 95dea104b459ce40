package scoreboard

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// ErrBadCell says that a cell holds what its worker cannot truthfully have
// written. The error names it; no value of the cell counts.
var ErrBadCell = errors.New("scoreboard: bad cell")

// Board is the master's side. It is for one goroutine.
type Board struct {
	segment *shm.Segment
	owners  map[int]*owner        // by cell: who has it
	used    [MaxCells / 64]uint64 // a bit a cell; what the segment says of it is never read
	high    int                   // one more than the highest used cell

	ended   map[int]*Totals // by slot: of processes whose cells were taken back
	latency Histogram       // of the same
}

// owner is what the master wrote into a cell, from its own memory, and what
// it has read there.
type owner struct {
	slot, generation int
	id               uint64

	seen    Totals     // the most that it counted; Cut is 0 while it lives
	latency *Histogram // likewise; nil: not yet read
}

// Create makes an empty scoreboard. It is sparse: a page of it costs memory
// once one of its cells has been handed out, and the back of a cell once its
// worker has begun a request.
func Create() (*Board, error) {
	s, err := shm.Create("scoreboard", magic, segmentSize)
	if err != nil {
		return nil, fmt.Errorf("create scoreboard: %w", err)
	}
	return &Board{segment: s, owners: make(map[int]*owner), ended: make(map[int]*Totals)}, nil
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
	b.clear(cell)
	// Any worker can write these: the next one must not suffer for it.
	b.segment.Word(offMagic).Store(magic)
	word(b.segment, cell, offPlace).Store(place(slot, generation))
	word(b.segment, cell, offID).Store(id) // last: a cell with an id is complete
	b.used[cell/64] |= 1 << (cell % 64)
	b.owners[cell] = &owner{slot: slot, generation: generation, id: id}
	b.setHigh(max(b.high, cell+1))
	return cell, true
}

// clear makes all of a cell zero. Its back is given to the kernel, so that it
// takes no memory until it is written to: most cells of programs in other
// languages never are. Seals forbid another size, not a hole
// (memfd_create(2), fallocate(2)).
func (b *Board) clear(cell int) {
	for i := range frontWords {
		word(b.segment, cell, 8*i).Store(0)
	}
	const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if unix.Fallocate(b.segment.FD(), hole, int64(back(cell)), backSize) == nil {
		return
	}
	for i := 0; i < backSize; i += 8 {
		b.segment.Word(back(cell) + i).Store(0)
	}
}

func (b *Board) lowestFree() int {
	for i, w := range b.used {
		if w != ^uint64(0) {
			return 64*i + bits.TrailingZeros64(^w)
		}
	}
	return -1
}

// Free takes a cell back, and adds what its process counted to the totals of
// its slot. Preconditions: Alloc gave it, and its process has been reaped or
// never began.
func (b *Board) Free(cell int) {
	o, ok := b.owners[cell]
	if !ok {
		panic(fmt.Sprintf("scoreboard: free of cell %d, which is free", cell))
	}
	b.retire(cell, o)
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

// retire reads a cell for the last time. Where it is bad, what was read before
// has to do.
func (b *Board) retire(cell int, o *owner) {
	if snap, err := b.Read(cell); err == nil && snap.Requests > 0 {
		o.seen.Cut = snap.InFlight
		_, _ = b.Latency(cell) // a bad one leaves what was read before
	}
	if o.seen != (Totals{}) {
		t := b.ended[o.slot]
		if t == nil {
			t = &Totals{}
			b.ended[o.slot] = t
		}
		t.add(o.seen)
	}
	if o.latency != nil {
		b.latency.Add(o.latency)
	}
}

// Totals gives the counts of the whole pool: of the processes that have ended,
// and of the others as of the last Read of their cells. They never go back.
func (b *Board) Totals() Totals {
	var sum Totals
	for _, t := range b.ended {
		sum.add(*t)
	}
	for _, o := range b.owners {
		sum.add(o.seen)
	}
	return sum
}

// SlotTotals gives the same for the processes of one slot.
func (b *Board) SlotTotals(slot int) Totals {
	var sum Totals
	if t := b.ended[slot]; t != nil {
		sum = *t
	}
	for _, o := range b.owners {
		if o.slot == slot {
			sum.add(o.seen)
		}
	}
	return sum
}

// LatencyTotals gives the latencies of the whole pool: of the processes that
// have ended, and of the others as of the last Latency of their cells.
func (b *Board) LatencyTotals() Histogram {
	sum := b.latency
	for _, o := range b.owners {
		if o.latency != nil {
			sum.Add(o.latency)
		}
	}
	return sum
}

func (b *Board) setHigh(high int) {
	b.high = high
	b.segment.Word(offHigh).Store(uint64(high))
}
