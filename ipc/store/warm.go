package store

// What operations wait for most in a store that is larger than the caches is
// memory: the bucket, the entry that it leads to, the blocks of the entry, each
// of which says where the next one is. warm and Warm read these and have no
// other effect. They trust nothing that they see.

// maxWarm bounds the walk along a bucket.
const maxWarm = 4

// warm reads what a change of an entry is going to read, before the lock is
// taken: nobody waits behind it while the memory comes.
func (e *Embedded) warm(sh int, hash uint64) {
	e.warmEntry(hash, e.m.get(e.g.bucket(sh, hash)))
}

// Warm is told the keys of the operations that come next. It reads for all of
// them at once, so that they wait together and not one after the other.
func (e *Embedded) Warm(keys [][]byte) {
	const most = 16
	var hashes, firsts [most]uint64
	for len(keys) > 0 {
		n := min(len(keys), most)
		for i, key := range keys[:n] {
			hashes[i] = e.hash(kindValue, key)
			firsts[i] = e.m.get(e.g.bucket(e.g.shardOf(hashes[i]), hashes[i]))
		}
		for i := range n {
			e.warmEntry(hashes[i], firsts[i])
		}
		keys = keys[n:]
	}
}

// warmEntry reads the first and the last block of the entry with a hash, which
// is in the bucket that begins with a link.
func (e *Embedded) warmEntry(hash, link uint64) {
	for range maxWarm {
		if !e.g.valid(link) {
			return
		}
		head := e.g.block(link)
		if e.m.get(head+bHash) == hash {
			if last := e.m.get(head + bLast); e.g.valid(last) {
				e.m.get(e.g.block(last) + bNext)
			}
			return
		}
		link = e.m.get(head + bChain)
	}
}
