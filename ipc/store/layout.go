package store

import "fmt"

// The segment, in 64-bit words; bytes are little-endian in them on every
// machine. Every access is a 64-bit atomic one.
//
//	word    words           meaning
//	0       512             header: one page
//	512     64 x 16         counters: a stripe of each 64th process (stats.go)
//	1536    4096 x 2        epochs: hash of the name, value (epoch.go)
//	9728    shards x 64     shards, below
//	...     shards²         inboxes: blocks on their way to a shard from each shard (share.go)
//	...     shards x B      index: B buckets a shard, a bucket is a link
//	...     shards x P x 16 blocks
//
// The header's words: see the h constants. A link is the number of a block,
// from 1 on; 0 ends a chain.
//
// A shard has an index, a list of free blocks and a lock of its own. Its words
// stand so that a write touches few lines of 64 bytes: the next writer is in
// another process, most likely on another core, and has to fetch each of them.
//
//	word  meaning
//	0     lock: id of the holder (high 63 bits), somebody waits (lowest bit); lock.go
//	1     turn: one more at each acquisition
//	2     sequence: odd while a journal is being applied; journal.go
//	3     free: first free block (link)
//	4     free blocks that are in the list
//	5     fresh: how many blocks of its own range were ever used
//	6     version: of the last write
//	7     blocks that are in entries
//	8     entries with a value
//	9     named locks and semaphores
//	10    earliest expiry of any entry, or earlier; 0: nothing expires
//	11    hand of the expiry sweep (bucket)
//	12    earliest expiry met in this round of the sweep; 0: none
//	13    hand of the eviction (bucket)
//	14    blocks taken from other shards less those given (int64)
//	16    journal: number of its pairs, then word and value of each
//	56    wake: changes when a named lock or a place is given back (futex)
//	57    processes that wait on it, or died waiting
//
// A block has 16 words, 128 bytes. An entry is a chain of them; its first:
//
//	word  meaning
//	0     next block of this entry, or of the free list (link)
//	1     last use, milliseconds of CLOCK_BOOTTIME; written by readers, so never anything else
//	2     next entry of the bucket (link)
//	3     hash of kind and key
//	4     version
//	5     expiry, nanoseconds of CLOCK_BOOTTIME; 0: never
//	6     length of the value (low 32 bits), of the key (16 bits), kind (8 bits)
//	7     CRC-32C of the value (high half), mix of words 3, 4 and 6 (low half)
//	8-15  payload
//
// The others: word 0 and 1 as above, 2-15 payload. The payload is the key,
// filled up to a word with zeros, then the value likewise. How many blocks an
// entry has follows from its lengths; the last one's word 0 means nothing.
const (
	magic = 0x70726b73746f0003 // "prksto", version 3

	hSize     = 1 // bytes of the segment
	hShards   = 2
	hFull     = 3 // a FullPolicy
	hKey0     = 4 // key of the hash
	hKey1     = 5
	hNextID   = 6 // the next process' id
	hReserver = 8 // lock: id of who reserves the memory
	hReserved = 9 // 1: done

	offCounters = 512
	stripes     = 64
	stripeWords = 16
	offEpochs   = offCounters + stripes*stripeWords
	offShards   = offEpochs + 2*MaxEpochs

	shardWords  = 64
	sLock       = 0
	sTurn       = 1
	sSequence   = 2
	sFree       = 3
	sFreeCount  = 4
	sFresh      = 5
	sVersion    = 6
	sInEntries  = 7
	sEntries    = 8
	sNamed      = 9
	sEarliest   = 10
	sSweepHand  = 11
	sSweepMin   = 12
	sEvictHand  = 13
	sForeign    = 14
	sJournal    = 16
	maxPairs    = 12 // what the largest change needs
	sWake       = 56
	sWaiting    = 57
	minPerShard = 16
	maxShards   = 128
	shardSize   = 512 << 10 // bytes that make one shard more

	blockWords = 16
	bNext      = 0
	bUsed      = 1
	bChain     = 2
	bHash      = 3
	bVersion   = 4
	bExpiry    = 5
	bLengths   = 6
	bCRC       = 7
	bPayload   = 8 // of the first block
	bMore      = 2 // of the others

	headPayload = blockWords - bPayload
	morePayload = blockWords - bMore
)

// Kinds of entries. Names of locks and semaphores are no keys: the kind is a
// part of what is hashed and compared.
const (
	kindValue uint8 = iota
	kindLock
	kindSemaphore
	kindEpoch // hashed only
)

// geometry is where the parts of a segment stand, which follows from its size
// and the number of shards.
type geometry struct {
	shards   int
	buckets  int // a shard
	perShard int // blocks of a shard's own range
	blocks   int // all

	inboxes, index, first int // word of the first inbox, bucket, block
}

// shardsFor gives how many shards a segment of so many bytes has.
func shardsFor(size int64) int {
	n := 1
	for n < maxShards && size >= int64(2*n)*shardSize {
		n *= 2
	}
	return n
}

func geometryOf(size int64, shards int) (geometry, error) {
	if shards < 1 || shards > maxShards {
		return geometry{}, fmt.Errorf("%d shards (want 1 to %d)", shards, maxShards)
	}
	g := geometry{shards: shards}
	g.inboxes = offShards + shards*shardWords
	g.index = (g.inboxes + shards*shards + blockWords - 1) / blockWords * blockWords
	words := int(size / 8)
	g.perShard = (words - g.index - blockWords) / shards * 2 / (2*blockWords + 1)
	if g.perShard < minPerShard {
		return geometry{}, fmt.Errorf("%d bytes are too few for %d shards (min %d)", size, shards, MinSize)
	}
	g.buckets = g.perShard / 2
	g.first = (g.index + shards*g.buckets + blockWords - 1) / blockWords * blockWords
	g.blocks = shards * g.perShard
	return g, nil
}

// The layout holds together: each line fails to compile when it does not.
var (
	_ [offCounters - hReserved - 1]struct{}
	_ [0]struct{} = [offShards % blockWords]struct{}{}
	_ [0]struct{} = [shardWords % 8]struct{}{} // whole lines
	_ [sWake - sJournal - 1 - 2*maxPairs]struct{}
	_ [sJournal - sForeign - 1]struct{}
	_ [shardWords - sWaiting - 1]struct{}
	_ [nCounters]struct{} = [nCounters]struct{}{}
	_ [stripeWords - nCounters]struct{}
)

// shard gives the first word of a shard.
func shard(sh int) int { return offShards + sh*shardWords }

// block gives the first word of a block. Preconditions: g.valid(link).
func (g *geometry) block(link uint64) int { return g.first + (int(link)-1)*blockWords }

// valid says whether a link names a block.
func (g *geometry) valid(link uint64) bool { return link-1 < uint64(g.blocks) }

// bucket gives the word of a hash's bucket: the shard by the high half, the
// bucket by the low one.
func (g *geometry) bucket(sh int, hash uint64) int {
	return g.index + sh*g.buckets + int((hash&0xffffffff)*uint64(g.buckets)>>32)
}

func (g *geometry) shardOf(hash uint64) int { return int((hash >> 32) * uint64(g.shards) >> 32) }

// inbox gives the word for blocks on their way from one shard to another.
func (g *geometry) inbox(from, to int) int { return g.inboxes + to*g.shards + from }

// wordsOf gives how many words bytes fill.
func wordsOf(bytes int) int { return (bytes + 7) / 8 }

// blocksOf gives how many blocks an entry fills.
func blocksOf(key, value int) int {
	more := wordsOf(key) + wordsOf(value) - headPayload
	if more <= 0 {
		return 1
	}
	return 1 + (more+morePayload-1)/morePayload
}

// lengths packs word 6 of an entry; unpack is its inverse.
func lengths(kind uint8, key, value int) uint64 {
	return uint64(kind)<<48 | uint64(key)<<32 | uint64(value)
}

func unpack(word uint64) (kind uint8, key, value int) {
	return uint8(word >> 48), int(word >> 32 & 0xffff), int(word & 0xffffffff)
}
