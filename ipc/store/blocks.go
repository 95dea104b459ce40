package store

import (
	"encoding/binary"
	"hash/crc32"
)

// record is what an entry is made of.
type record struct {
	hash    uint64
	kind    uint8
	value   []byte
	version uint64
	expiry  int64
	chain   uint64 // the entry after it in the bucket
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the net under the argument: it finds what somebody scribbled.
// Its high half is the CRC-32C of the value, which reading it checks; its low
// half mixes what the entry says of itself, which is checked before any of it
// is followed. The key is behind its hash. (Only the value goes through
// hash/crc32: what is given to it moves to the heap.)
func checksum(value []byte, mix uint32) uint64 {
	return uint64(crc32.Update(0, castagnoli, value))<<32 | uint64(mix)
}

// mixOf mixes words 3, 4 and 6 of an entry.
func mixOf(hash, version, lengths uint64) uint32 {
	mix := (hash ^ lengths*0x9e3779b97f4a7c15 ^ version*0xc2b2ae3d27d4eb4f) * 0xff51afd7ed558ccd
	return uint32(mix >> 32)
}

// supply is n blocks that a change may take: a chain that begins at head. rest
// is what the free list and the fresh range are when it is taken.
type supply struct {
	head              uint64
	free, count, used uint64 // new values of sFree, sFreeCount and sFresh
}

// available gives how many blocks a shard can take without asking others.
func (e *Embedded) available(sh int) int {
	s := shard(sh)
	n := e.m.get(s+sFreeCount) + e.fresh(sh)
	return int(min(n, uint64(e.g.blocks)))
}

// fresh gives how many blocks of a shard's own range were never used.
func (e *Embedded) fresh(sh int) uint64 {
	used := e.m.get(shard(sh) + sFresh)
	return uint64(e.g.perShard) - min(used, uint64(e.g.perShard))
}

// supply finds n blocks, and changes nothing that counts: fresh ones are chained
// in front of the free list, the free list's own are chained already. Not ok:
// the free list is damaged. Preconditions: the lock is held, n are available.
func (e *Embedded) supply(sh, n int) (supply, bool) {
	s := shard(sh)
	free, count := e.m.get(s+sFree), e.m.get(s+sFreeCount)
	own := uint64(e.g.perShard)
	used := min(e.m.get(s+sFresh), own)
	if uint64(n) <= count {
		return supply{head: free, count: count - uint64(n), used: used}, true
	}
	// The whole free list, behind so many fresh ones.
	k := uint64(n) - count
	if k > own-used {
		return supply{}, false // somebody wrote into the figures since
	}
	first := uint64(sh)*own + used + 1
	for i := first; i < first+k-1; i++ {
		e.m.put(e.g.block(i)+bNext, i+1)
	}
	e.m.put(e.g.block(first+k-1)+bNext, free)
	return supply{head: first, used: used + k}, true
}

// fill writes a record into the blocks of a supply, which nobody reads yet,
// and notes what follows the last of them. Not ok: a link leads nowhere.
func (e *Embedded) fill(sp *supply, r *record, key []byte, now int64) (ok bool) {
	if !e.g.valid(sp.head) {
		return false
	}
	m := e.m
	head := e.g.block(sp.head)
	c := cursor{at: head + bPayload, end: head + blockWords, base: head}
	if !c.write(e, key) || !c.write(e, r.value) {
		return false
	}
	size := lengths(r.kind, len(key), len(r.value))
	words := [...]uint64{
		bUsed:    uint64(now) / 1e6,
		bChain:   r.chain,
		bHash:    r.hash,
		bVersion: r.version,
		bExpiry:  uint64(r.expiry),
		bLengths: size,
		bCRC:     checksum(r.value, mixOf(r.hash, r.version, size)),
	}
	m.putWords(head+bUsed, words[bUsed:])
	if sp.count > 0 {
		sp.free = m.get(c.base + bNext)
		return e.g.valid(sp.free)
	}
	return true
}

// cursor goes through the payload of an entry, word by word.
type cursor struct {
	base, at, end int
}

// next steps into the following block when this one is done.
func (c *cursor) next(e *Embedded) bool {
	if c.at < c.end {
		return true
	}
	link := e.m.get(c.base + bNext)
	if !e.g.valid(link) {
		return false
	}
	c.base = e.g.block(link)
	c.at, c.end = c.base+bMore, c.base+blockWords
	return true
}

// skip passes by so many words.
func (c *cursor) skip(e *Embedded, words int) bool {
	for words > 0 {
		if !c.next(e) {
			return false
		}
		n := min(words, c.end-c.at)
		c.at += n
		words -= n
	}
	return true
}

// write stores bytes, the last word filled up with zeros.
func (c *cursor) write(e *Embedded, from []byte) bool {
	for len(from) >= 8 {
		if !c.next(e) {
			return false
		}
		n := min(len(from)/8, c.end-c.at)
		e.m.putBytes(c.at, from[:8*n])
		c.at += n
		from = from[8*n:]
	}
	if len(from) > 0 {
		if !c.next(e) {
			return false
		}
		var word [8]byte
		copy(word[:], from)
		e.m.putBytes(c.at, word[:])
		c.at++
	}
	return true
}

// read copies bytes out. Other processes may write meanwhile: the caller
// checks afterwards.
func (c *cursor) read(e *Embedded, into []byte) bool {
	for len(into) >= 8 {
		if !c.next(e) {
			return false
		}
		for c.at < c.end && len(into) >= 8 {
			binary.LittleEndian.PutUint64(into, e.m[c.at].Load())
			c.at++
			into = into[8:]
		}
	}
	if len(into) > 0 {
		if !c.next(e) {
			return false
		}
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], e.m[c.at].Load())
		copy(into, word[:])
		c.at++
	}
	return true
}

// equal compares bytes with what is stored.
func (c *cursor) equal(e *Embedded, with []byte) bool {
	for len(with) >= 8 {
		if !c.next(e) || e.m[c.at].Load() != binary.LittleEndian.Uint64(with) {
			return false
		}
		c.at++
		with = with[8:]
	}
	if len(with) > 0 {
		var word [8]byte
		copy(word[:], with)
		if !c.next(e) || e.m[c.at].Load() != binary.LittleEndian.Uint64(word[:]) {
			return false
		}
		c.at++
	}
	return true
}

// tail gives the last block of an entry's chain of n.
func (e *Embedded) tail(head uint64, n int) (last uint64, ok bool) {
	for ; n > 1; n-- {
		if head = e.m.get(e.g.block(head) + bNext); !e.g.valid(head) {
			return 0, false
		}
	}
	return head, true
}
