package scoreboard

import (
	"sync/atomic"

	"prefork/ipc/shm"
)

// The segment, in bytes. All values are 64-bit atomics in the machine's byte
// order. Zero is what a fresh or a cleared cell has.
//
//	offset  width  type    writer  reader   meaning
//	0       8      uint64  master  all      magic, with the layout's version
//	8       8      uint64  master  workers  one more than the highest cell in use
//	16      65520  -       -       -        reserved, up to 64 KiB: the largest page there is
//	65536   256    cell    -       -        cell 0, and so on
//
// A cell:
//
//	offset  width  type    writer  reader   meaning
//	0       8      uint64  master  all      the process' id; 0: the cell is free
//	8       4+4    uint32  master  all      slot (low half), generation (high half)
//	16      8      uint64  worker  all      state
//	24      8      int64   worker  all      connections open now
//	32      96     -       -       -        reserved
//	128     8      int64   worker  master   requests since it began
//	136     8      int64   worker  master   last activity, nanoseconds of CLOCK_MONOTONIC; 0: none yet
//	144     8x8    int64   worker  master   accepted since it began, by listener 0 to 7
//	208     8      int64   worker  master   accepted on all further listeners
//	216     40     -       -       -        reserved
//
// A cell is 256 bytes: two pairs of cache lines. Processors fetch lines of 64
// bytes in pairs, or have lines of 128, so that two cells never share what one
// core takes from another. The first pair is what other workers read (Share);
// the second changes with each request and is read by the master alone. The
// reserved parts let the layout grow without moving a cell: an upgrade in
// place keeps the segment.
//
// Each value is whole by itself, and no two belong together: a reader of a
// cell whose writer dies half way sees some values from before and some from
// after, all of them true at some moment.
const (
	magic = 0x7072666b73620001 // "prfksb", version 1

	headerSize  = 64 << 10
	offMagic    = 0
	offHigh     = 8
	cellSize    = 256
	cellWords   = cellSize / 8
	segmentSize = headerSize + MaxCells*cellSize

	offID          = 0
	offPlace       = 8
	offState       = 16
	offConnections = 24
	offRequests    = 128
	offLastActive  = 136
	offAccepted    = 144
	offAcceptedMax = 208
)

// MaxCells is how many processes may have a cell at once.
const MaxCells = 16384

// MaxListeners is how many listeners have a count of their own in a cell.
const MaxListeners = 8

// The layout holds together: each line fails to compile when it does not.
var (
	_ [0]struct{} = [offMagic]struct{}{}
	_ [128]byte   = [offRequests]byte{}                  // the second pair of lines
	_ [0]struct{} = [headerSize % cellSize]struct{}{}    // cells are aligned to their size
	_ [0]struct{} = [segmentSize % (64 << 10)]struct{}{} // whole pages, whatever their size
	_ [0]struct{} = [offAccepted + 8*MaxListeners - offAcceptedMax]struct{}{}
	_ [40]byte    = [cellSize - offAcceptedMax - 8]byte{}
)

// word gives one value of a cell. Preconditions: 0 <= cell < MaxCells.
func word(s *shm.Segment, cell, offset int) *atomic.Uint64 {
	return s.Word(headerSize + cell*cellSize + offset)
}

func place(slot, generation int) uint64 {
	return uint64(uint32(slot)) | uint64(uint32(generation))<<32
}

// The states that a worker says it is in. What it really is the master knows
// from its messages; this is for people.
const (
	StateStarting = 0
	StateReady    = 1 // accepts
	StateDraining = 2 // accepts nothing more, finishes what it has
	lastState     = StateDraining
)
