package store

// journal collects the words that one change of a shard sets. They stand in
// the shard before the first of them is set, so that whoever finds the holder
// dead can set them all (again): a change happens as a whole at the moment the
// number of its pairs is stored, and not at all before.
type journal struct {
	n     int
	pairs [2 * (maxPairs + 4)]uint64 // of which commit needs two before and two behind
}

// set notes a word. Preconditions: no word is noted twice; at most maxPairs.
// What has the value already need not be noted.
func (j *journal) set(word int, value uint64) {
	j.pairs[2*j.n+4], j.pairs[2*j.n+5] = uint64(word), value
	j.n++
}

// commit makes the change. Preconditions: the shard's lock is held.
func (e *Embedded) commit(sh int, j *journal) {
	s := shard(sh)
	end := 2*j.n + 4
	e.m.putWords(s+sJournal+1, j.pairs[4:end])
	sequence := e.m.get(s + sSequence)
	p := &j.pairs
	p[0], p[1] = uint64(s+sJournal), uint64(j.n) // here it has happened
	p[2], p[3] = uint64(s+sSequence), sequence|1 // readers wait, or read again
	p[end], p[end+1] = uint64(s+sSequence), sequence|1+1
	p[end+2], p[end+3] = uint64(s+sJournal), 0
	e.m.putPairs(p[:end+4])
}

// replay brings a shard to where its last holder left it: before its change,
// or after. It may be killed at any store and done again. Preconditions: the
// shard's lock is held, and was taken from a dead process.
func (e *Embedded) replay(sh int) {
	s := shard(sh)
	n := e.m.get(s + sJournal)
	sequence := e.m.get(s + sSequence)
	if n == 0 && sequence&1 == 0 {
		return
	}
	e.m.put(s+sSequence, sequence|1)
	if n <= maxPairs {
		for i := range int(n) {
			// A journal that was scribbled on must not write where no journal
			// does.
			if word := e.m.get(s + sJournal + 1 + 2*i); e.journaled(word) {
				e.m.put(int(word), e.m.get(s+sJournal+2+2*i))
			}
		}
	}
	e.m.put(s+sSequence, sequence|1+1)
	e.m.put(s+sJournal, 0)
}

// journaled says whether a change may set a word: one of a shard behind its
// lock and before its journal, of an inbox, of the index or of a block.
func (e *Embedded) journaled(word uint64) bool {
	if word < offShards || word >= uint64(len(e.m)) {
		return false
	}
	if word >= uint64(e.g.inboxes) {
		return true
	}
	at := (word - offShards) % shardWords
	return at >= sFree && at <= sForeign
}
