package store

// What operations wait for most in a store that is larger than the caches is
// memory: the bucket, the entry that it leads to, the blocks of the entry, each
// of which says where the next one is. warm and Warm read these and have no
// other effect. They trust nothing that they see.

// warmMost is how many keys Warm looks at: their lines are to be in the cache
// still when the operations come.
const warmMost = 16

// warmBlocks is how many blocks of an entry are looked at: those of a small
// value. The words of a longer one follow each other, and the processor sees
// that itself.
const warmBlocks = 3

// Warm reads what operations on these keys are about to read, of all of them
// at once, so that the waits for memory overlap: the keys of a pipeline are
// known before its first operation begins. It takes no lock, and what it reads
// decides nothing: a link that somebody changes meanwhile needs only to be in
// the store. Neither the entry nor a counter is touched.
func (e *Embedded) Warm(keys [][]byte) {
	var at [warmMost]uint64 // the word of a bucket, then the link that is to be followed
	keys = keys[:min(len(keys), warmMost)]
	for i, key := range keys {
		hash := e.hash(kindValue, key)
		at[i] = uint64(e.g.bucket(e.g.shardOf(hash), hash))
	}
	// Each round reads for all keys what the one before found, as no read of
	// a round waits for another of it.
	for i := range keys {
		at[i] = e.m.get(int(at[i]))
	}
	for range warmBlocks {
		for i, link := range at[:len(keys)] {
			if e.g.valid(link) {
				block := e.g.block(link)
				at[i] = e.m.get(block + bNext)
				e.m.get(block + blockWords/2) // the other half of it is in another line
			}
		}
	}
}

// maxWarm bounds the walk of warm along a bucket.
const maxWarm = 4

// warm reads what a change of an entry is going to read, before the lock is
// taken: nobody waits behind it while the memory comes.
func (e *Embedded) warm(sh int, hash uint64) {
	link := e.m.get(e.g.bucket(sh, hash))
	for range maxWarm {
		if !e.g.valid(link) {
			return
		}
		head := e.g.block(link)
		if e.m.get(head+bHash) == hash {
			// The blocks of an entry mostly follow each other: reading them for
			// where they are likely to be waits once, following the links
			// would wait for each.
			e.m.get(head + bPayload)
			for at := head + blockWords; at < min(head+warmBlocks*blockWords, len(e.m)); at += blockWords {
				e.m.get(at + bNext)
			}
			return
		}
		link = e.m.get(head + bChain)
	}
}
