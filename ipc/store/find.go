package store

// maxHops bounds a walk along a bucket, which has two entries in the mean at
// most. The hash is keyed, so nobody can make it long: a longer one is a
// ring.
const maxHops = 256

// place is where an entry is, or would go.
type place struct {
	link  int    // word of the link that names it; of its bucket when it is not there
	block uint64 // its first block; 0: it is not there
	after uint64 // what follows it in the bucket; what the bucket has when it is not there
}

// find looks an entry up. The key is compared as a whole. ErrCorrupt: the
// chain leads nowhere, and link is where. Preconditions: the lock is held.
func (e *Embedded) find(sh int, hash uint64, kind uint8, key []byte) (place, error) {
	bucket := e.g.bucket(sh, hash)
	first := e.m.get(bucket)
	link := bucket
	for range maxHops {
		b := e.m.get(link)
		if b == 0 {
			return place{link: bucket, after: first}, nil
		}
		if !e.g.valid(b) {
			return place{link: link}, ErrCorrupt
		}
		head := e.g.block(b)
		if e.m.get(head+bHash) == hash && e.isKey(head, kind, key) {
			return place{link: link, block: b, after: e.m.get(head + bChain)}, nil
		}
		link = head + bChain
	}
	return place{link: bucket}, ErrCorrupt
}

// isKey compares kind and key of the entry at a first block.
func (e *Embedded) isKey(head int, kind uint8, key []byte) bool {
	k, length, _ := unpack(e.m.get(head + bLengths))
	if k != kind || length != len(key) {
		return false
	}
	c := cursor{base: head, at: head + bPayload, end: head + blockWords}
	return c.equal(e, key)
}

// stored is what the first block of an entry says of it.
type stored struct {
	key, value int // lengths
	kind       uint8
	version    uint64
	expiry     int64
	sum        uint64 // as checksum gives it
}

func (e *Embedded) stored(b uint64) (stored, bool) {
	head := e.g.block(b)
	var st stored
	size := e.m.get(head + bLengths)
	st.kind, st.key, st.value = unpack(size)
	st.version = e.m.get(head + bVersion)
	st.expiry = int64(e.m.get(head + bExpiry))
	st.sum = e.m.get(head + bCRC)
	return st, uint32(st.sum) == mixOf(e.m.get(head+bHash), st.version, size) &&
		st.kind < kindEpoch && st.key <= MaxKey && st.value <= MaxValue
}

func (st *stored) expired(now int64) bool { return st.expiry != 0 && st.expiry <= now }

// content copies and checks the value of an entry. Preconditions: the lock is
// held, or the caller checks the sequence.
func (e *Embedded) content(b uint64, st *stored, into []byte) ([]byte, bool) {
	head := e.g.block(b)
	var value []byte
	if into != nil && cap(into) >= st.value {
		value = into[:st.value]
	} else {
		value = make([]byte, st.value)
	}
	c := cursor{base: head, at: head + bPayload, end: head + blockWords}
	if !c.skip(e, wordsOf(st.key)) || !c.read(e, value) {
		return nil, false
	}
	return value, st.sum == checksum(value, uint32(st.sum))
}
