package store

// The segment, 1 MiB, in bytes. All access is by 64-bit atomic words in the
// machine's byte order, under the store's lock.
//
//	offset  width     type    meaning
//	0       8         uint64  magic, with the layout's version
//	4096    768x8     uint64  index: 0, or hash of the key (high half), block + 1 (low half)
//	65536   768x1280  block   blocks
//
// A block:
//
//	offset  width  type    meaning
//	0       8      int64   expiry, nanoseconds of CLOCK_BOOTTIME; 0: never
//	8       4+4    uint32  length of the key (low half) and of the value (high half)
//	64      192    bytes   key
//	256     1024   bytes   value
//
// A block is free when no word of the index names it: there is no list that
// could be left half changed. A write fills a free block, then stores the one
// word of the index that names it. Until that store nothing has happened,
// with it everything has, and the block that the word named before is free.
// So one block always stays free, and a process that is killed leaves at most
// garbage in free blocks. SIGKILL takes effect between two instructions of
// the victim: what others see is a prefix of its stores, in program order
// (Go's atomics are ordered on every architecture).
const (
	magic = 0x70726b73746f0001 // "prksto", version 1

	blocks      = 768
	offIndex    = 4096
	offBlocks   = 64 << 10
	blockSize   = 64 + MaxKey + MaxValue
	segmentSize = 1 << 20

	offExpiry  = 0
	offLengths = 8
	offKey     = 64
	offValue   = offKey + MaxKey
)

// The bounds of an entry, in bytes, and how many there may be.
const (
	MaxKey     = 192
	MaxValue   = 1024
	MaxEntries = blocks - 1
)

// The layout holds together: each line fails to compile when it does not.
var (
	_ [segmentSize - offBlocks - blocks*blockSize]struct{}
	_ [offBlocks - offIndex - blocks*8]struct{}
	_ [0]struct{} = [blockSize % 8]struct{}{}
	_ [0]struct{} = [MaxKey % 8]struct{}{}
)
