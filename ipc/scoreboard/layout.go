package scoreboard

import (
	"sync/atomic"

	"prefork/ipc/shm"
)

// The segment, in bytes. All values are 64-bit atomics in the machine's byte
// order; a text is its bytes in their order, filled up with zeros to whole
// words. Zero is what a fresh or a cleared cell has. Times are nanoseconds of
// CLOCK_MONOTONIC; 0 is none.
//
//	offset   width  type    writer  reader   meaning
//	0        8      uint64  master  all      magic, with the layout's version
//	8        8      uint64  master  workers  one more than the highest cell in use
//	16       65520  -       -       -        reserved, up to 64 KiB: the largest page there is
//	65536    256    front   -       -        front of cell 0, and so on
//	4259840  4096   back    -       -        back of cell 0, and so on
//
// A cell has two parts: 256 bytes in front, with what workers read of each
// other and the counters, and 4096 bytes behind, with the latencies and the
// requests of this moment. The fronts lie close together, since a worker that
// accepts reads the ones of all others (Share).
//
// The front:
//
//	offset  width  type    writer  reader   meaning
//	0       8      uint64  master  all      the process' id; 0: the cell is free
//	8       4+4    uint32  master  all      slot (low half), generation (high half)
//	16      8      uint64  worker  all      state
//	24      8      int64   worker  all      connections open now
//	32      96     -       -       -        reserved
//	128     8      int64   worker  master   requests begun
//	136     8      int64   worker  master   time of the last heartbeat
//	144     8x8    int64   worker  master   accepted, by listener 0 to 7
//	208     8      int64   worker  master   accepted on all further listeners
//	216     8      uint64  worker  master   heartbeat: how often a request has advanced
//	224     8      int64   worker  master   requests ended, never more than begun
//	232     8      int64   worker  master   bytes read from connections
//	240     8      int64   worker  master   bytes written to connections
//	248     8      int64   worker  master   begin of the oldest request without a place; 0: there is none
//
// Counts are since the process began, and only grow. A request is begun when
// its handler is called, and ended when that returns or takes the connection
// over (a WebSocket is no request any more); those in between are in flight.
// The heartbeat counts its advances: it is begun, bytes of it are read
// or written, it is ended. Nothing else moves it, no timer above all: in a
// worker whose requests are all stuck it stands still.
//
// The back:
//
//	offset  width   type    writer  reader  meaning
//	0       8x122   int64   worker  master  answers, by latency: histogram.go has the bounds
//	976     48      -       -       -       reserved
//	1024    16x192  place   worker  master  requests that are being served
//
// A place:
//
//	offset  width  type    writer  reader  meaning
//	0       8      uint64  worker  master  sequence: odd while the place is written
//	8       8      int64   worker  master  begin of the request; 0: the place is free
//	16      8      uint64  worker  master  bytes 0 to 2: lengths of method, client and path; bit 24: one of them was cut
//	24      16     text    worker  master  method
//	40      48     text    worker  master  client: the longest address with a port has 47 bytes
//	88      104    text    worker  master  path, without a query: that is where secrets are
//
// A request that finds all places taken has none, and is known as a number:
// in flight, less the places in use.
//
// A front is two pairs of cache lines. Processors fetch lines of 64 bytes in
// pairs, or have lines of 128, so that two cells never share what one core
// takes from another. The first pair is what other workers read; the second
// changes with each request and is read by the master alone. The reserved
// parts let the layout grow without moving a cell: an upgrade in place keeps
// the segment.
//
// Each value is whole by itself, and no two belong together, but for those of
// a place: a reader of a cell whose writer dies half way sees some values from
// before and some from after, all of them true at some moment. Of a place it
// sees an odd sequence, for ever, and reads nothing more.
const (
	magic = 0x7072666b73620002 // "prfksb", version 2

	offMagic = 0
	offHigh  = 8

	headerSize  = 64 << 10
	frontSize   = 256
	frontWords  = frontSize / 8
	backStart   = headerSize + MaxCells*frontSize
	backSize    = 4096
	segmentSize = backStart + MaxCells*backSize

	// The front.
	offID          = 0
	offPlace       = 8
	offState       = 16
	offConnections = 24
	offBegun       = 128
	offLastActive  = 136
	offAccepted    = 144
	offAcceptedMax = 208
	offHeartbeat   = 216
	offEnded       = 224
	offBytesIn     = 232
	offBytesOut    = 240
	offUnlisted    = 248

	// The back.
	offLatency = 0
	offServing = 1024
	placeSize  = 192

	// A place.
	offSequence = 0
	offSince    = 8
	offLengths  = 16
	offMethod   = 24
	offClient   = 40
	offPath     = 88

	maxMethod = offClient - offMethod
	maxClient = offPath - offClient
	maxPath   = placeSize - offPath

	lengthBits = 8       // of each length in offLengths
	cutBit     = 1 << 24 // in offLengths
)

// MaxCells is how many processes may have a cell at once.
const MaxCells = 16384

// MaxListeners is how many listeners have a count of their own in a cell.
const MaxListeners = 8

// Places is how many requests of a process are shown with their texts.
const Places = 16

// The layout holds together: each line fails to compile when it does not.
var (
	_ [0]struct{} = [offMagic]struct{}{}
	_ [128]byte   = [offBegun]byte{} // the second pair of lines
	_ [0]struct{} = [offAccepted + 8*MaxListeners - offAcceptedMax]struct{}{}
	_ [8]byte     = [frontSize - offUnlisted]byte{}
	_ [0]struct{} = [headerSize % frontSize]struct{}{}   // fronts are aligned to their size
	_ [0]struct{} = [backStart % backSize]struct{}{}     // and so are backs
	_ [0]struct{} = [segmentSize % (64 << 10)]struct{}{} // whole pages, whatever their size
	_ [48]byte    = [offServing - offLatency - 8*Buckets]byte{}
	_ [0]struct{} = [backSize - offServing - Places*placeSize]struct{}{}
	_ [0]struct{} = [offServing % 64]struct{}{}
	_ [0]struct{} = [placeSize % 64]struct{}{} // places are whole cache lines
	_ uint8       = maxPath                    // a length has a byte
)

// word gives one value of a cell's front. Preconditions, here and below:
// 0 <= cell < MaxCells, and the offset is one of the constants above.
func word(s *shm.Segment, cell, offset int) *atomic.Uint64 {
	return s.Word(headerSize + cell*frontSize + offset)
}

// back gives where the back of a cell begins in the segment.
func back(cell int) int { return backStart + cell*backSize }

// placeAt gives where a place of a cell begins in the segment.
func placeAt(cell, i int) int { return back(cell) + offServing + i*placeSize }

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
