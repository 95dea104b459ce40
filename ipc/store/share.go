package store

// A shard that runs out of blocks is given some of another's. They travel by
// an inbox, a word for each pair of shards, so that neither change needs both
// locks: the giver fills it, in a change of its own shard, and the taker
// empties it, in a change of its own. Each must not be made again after the
// other has gone on, so the giver fills an empty inbox only when the taker's
// journal is clear, and the taker empties a full one only when the giver's is:
// then the change that left the word as it is will never be replayed.
//
// An inbox holds the first block (low 40 bits) and the number of blocks.
const inboxShift = 40

// spare is how many blocks a giver gives at least, when it has plenty.
const spare = 64

// send sends up to want blocks from one shard to another. Preconditions: the
// giver's lock is held.
func (e *Embedded) send(from, to, want int) int {
	inbox := e.g.inbox(from, to)
	if e.m.get(inbox) != 0 || e.m.get(shard(to)+sJournal) != 0 {
		return 0
	}
	n := min(want, e.available(from))
	if n == 0 {
		return 0
	}
	sp, ok := e.supply(from, n)
	last := sp.head
	if ok = ok && e.g.valid(last); ok {
		last, ok = e.tail(last, n)
	}
	if ok && sp.count > 0 {
		sp.free = e.m.get(e.g.block(last) + bNext)
		ok = e.g.valid(sp.free)
	}
	if !ok {
		e.dropFree(from)
		return 0
	}
	s := shard(from)
	var j journal
	j.set(inbox, uint64(n)<<inboxShift|sp.head)
	j.set(s+sFree, sp.free)
	j.set(s+sFreeCount, sp.count)
	j.set(s+sFresh, sp.used)
	j.set(s+sForeign, e.m.get(s+sForeign)-uint64(n))
	e.commit(from, &j)
	return n
}

// collect empties a shard's inboxes into its free list. Preconditions: its
// lock is held.
func (e *Embedded) collect(sh int) {
	s := shard(sh)
	for from := range e.g.shards {
		inbox := e.g.inbox(from, sh)
		box := e.m.get(inbox)
		if box == 0 || e.m.get(shard(from)+sJournal) != 0 {
			continue
		}
		n, head := box>>inboxShift, box&(1<<inboxShift-1)
		var j journal
		j.set(inbox, 0)
		if n <= uint64(e.g.blocks) && e.g.valid(head) {
			if last, ok := e.tail(head, int(n)); ok {
				j.set(e.g.block(last)+bNext, e.m.get(s+sFree))
				j.set(s+sFree, head)
				j.set(s+sFreeCount, e.m.get(s+sFreeCount)+n)
				j.set(s+sForeign, e.m.get(s+sForeign)+n)
			}
		}
		if j.n == 1 {
			e.count(cQuarantined)
		}
		e.commit(sh, &j)
	}
}

// gather has the other shards send blocks to the one that needs them, and gives
// how many are on their way.
func (r *search) gather() (n int) {
	e := r.e
	for from := range r.others() {
		if n >= r.need {
			break
		}
		inbox := e.g.inbox(from, r.sh)
		have := e.available(from)
		if have == 0 && e.m.get(inbox) == 0 || !r.lock(from) {
			continue
		}
		if box := e.m.get(inbox); box != 0 {
			// Sent before, but its giver was in a change, or died in one: with
			// the lock that is over, and it can be collected.
			n += max(1, int(min(box>>inboxShift, uint64(e.g.blocks))))
		} else {
			want := r.need - n
			if have > 4*max(want, spare) {
				want = max(want, spare)
			}
			n += e.send(from, r.sh, want)
		}
		e.unlock(from)
	}
	return n
}

// collectAll empties the inboxes of the other shards, whose writers went away
// without it.
func (r *search) collectAll() {
	e := r.e
	for to := range r.others() {
		for from := range e.g.shards {
			if e.m.get(e.g.inbox(from, to)) == 0 {
				continue
			}
			if e.m.get(shard(from)+sJournal) != 0 && r.lock(from) {
				e.unlock(from) // its change is over, whoever made it
			}
			if r.lock(to) {
				e.collect(to)
				e.unlock(to)
			}
		}
	}
}
