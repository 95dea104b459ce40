package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Report is what Check found.
type Report struct {
	Shards, Entries, Locks int
	UsedBlocks, FreeBlocks int // of 128 bytes
	Problems               []string
}

// maxProblems bounds what a report names; it counts the rest.
const maxProblems = 100

// Clean says that nothing is wrong.
func (r *Report) Clean() bool { return len(r.Problems) == 0 }

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d shards, %d entries, %d locks and semaphores; %d of %d blocks in use\n",
		r.Shards, r.Entries, r.Locks, r.UsedBlocks, r.UsedBlocks+r.FreeBlocks)
	for _, p := range r.Problems {
		b.WriteString("problem: " + p + "\n")
	}
	if r.Clean() {
		b.WriteString("no problems\n")
	}
	return b.String()
}

func (r *Report) problem(format string, args ...any) {
	switch n := len(r.Problems); {
	case n < maxProblems:
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	case n == maxProblems:
		r.Problems = append(r.Problems, "and more")
	}
}

// Check looks at every entry, every free block and every figure of the store,
// a shard at a time and under its lock: some milliseconds each, in which its
// readers go on. It changes nothing, but for what a dead process left half
// done.
func (e *Embedded) Check(ctx context.Context) (Report, error) {
	r := Report{Shards: e.g.shards}
	c := checker{e: e, r: &r, owner: make([]uint8, e.g.blocks)}
	foreign := e.foreign()
	for sh := range e.g.shards {
		if err := e.enter(ctx, 0, 0); err != nil {
			return r, fmt.Errorf("check: %w", err)
		}
		if err := e.lock(sh); err != nil {
			return r, fmt.Errorf("check shard %d: %w", sh, err)
		}
		c.shard(sh)
		e.unlock(sh)
	}
	// Blocks that changed hands meanwhile may have been seen in two shards, or
	// in none.
	if slices.Equal(foreign, e.foreign()) {
		c.between()
	}
	return r, nil
}

// foreign gives how many blocks each shard has from others, and the inboxes.
func (e *Embedded) foreign() []uint64 {
	var all []uint64
	for sh := range e.g.shards {
		all = append(all, e.m.get(shard(sh)+sForeign))
		for from := range e.g.shards {
			all = append(all, e.m.get(e.g.inbox(from, sh)))
		}
	}
	return all
}

type checker struct {
	e     *Embedded
	r     *Report
	owner []uint8 // by block: the shard that has it, + 1 (maxShards is 128)
	twice int     // blocks that two shards have
}

// claim notes that a shard has a block. Not ok: the same shard has it already,
// so that a walk would go round.
func (c *checker) claim(sh int, link uint64) bool {
	have := &c.owner[link-1]
	if *have == uint8(sh+1) {
		return false
	}
	if *have != 0 {
		c.twice++
	}
	*have = uint8(sh + 1)
	return true
}

func (c *checker) shard(sh int) {
	e, s := c.e, shard(sh)
	if n := e.m.get(s + sJournal); n != 0 {
		c.r.problem("shard %d: a journal of %d pairs behind a lock that was free", sh, n)
	}
	if e.m.get(s+sSequence)&1 != 0 {
		c.r.problem("shard %d: the sequence is odd behind a lock that was free", sh)
	}
	var entries, named, blocks int
	for i := range e.g.buckets {
		en, nm, bl := c.bucket(sh, e.g.index+sh*e.g.buckets+i)
		entries, named, blocks = entries+en, named+nm, blocks+bl
	}
	free := c.free(sh)
	for _, f := range []struct {
		what string
		word int
		want int
	}{{"entries", sEntries, entries}, {"locks", sNamed, named}, {"blocks in entries", sInEntries, blocks}, {"free blocks", sFreeCount, free}} {
		if have := e.m.get(s + f.word); have != uint64(f.want) {
			c.r.problem("shard %d: says %d %s, has %d", sh, have, f.what, f.want)
		}
	}
	fresh := int(e.fresh(sh))
	if have, want := blocks+free+fresh, e.g.perShard+int(e.m.get(s+sForeign)); have != want {
		c.r.problem("shard %d: has %d blocks, should have %d", sh, have, want)
	}
	c.r.Entries, c.r.Locks = c.r.Entries+entries, c.r.Locks+named
	c.r.UsedBlocks, c.r.FreeBlocks = c.r.UsedBlocks+blocks, c.r.FreeBlocks+free+fresh
}

func (c *checker) bucket(sh, bucket int) (entries, named, blocks int) {
	e := c.e
	for link := bucket; ; {
		b := e.m.get(link)
		if b == 0 {
			return entries, named, blocks
		}
		if !e.g.valid(b) {
			c.r.problem("shard %d: bucket %d: link to block %d of %d", sh, bucket-e.g.index, b, e.g.blocks)
			return entries, named, blocks
		}
		head := e.g.block(b)
		st, ok := e.stored(b)
		hash := e.m.get(head + bHash)
		if !ok || e.g.shardOf(hash) != sh || e.g.bucket(sh, hash) != bucket {
			c.r.problem("shard %d: bucket %d: block %d is no entry of it", sh, bucket-e.g.index, b)
			return entries, named, blocks
		}
		n := blocksOf(st.key, st.value)
		for i, part := 0, b; i < n; i++ {
			if !e.g.valid(part) || !c.claim(sh, part) {
				c.r.problem("shard %d: entry at block %d: its block %d of %d is %d, which is none or in use", sh, b, i+1, n, part)
				return entries, named, blocks
			}
			part = e.m.get(e.g.block(part) + bNext)
		}
		key := make([]byte, st.key)
		cur := cursor{base: head, at: head + bPayload, end: head + blockWords}
		if !cur.read(e, key) || e.hash(st.kind, key) != hash {
			c.r.problem("shard %d: entry at block %d: the key is not the one of its hash", sh, b)
		}
		if _, ok := e.content(b, &st, nil); !ok {
			c.r.problem("shard %d: entry %q: the value is not the one of its checksum", sh, short(string(key)))
		}
		blocks += n
		if st.kind == kindValue {
			entries++
		} else {
			named++
		}
		if earliest := int64(e.m.get(shard(sh) + sEarliest)); st.expiry != 0 && (earliest == 0 || earliest > st.expiry) {
			c.r.problem("shard %d: entry %q expires before the shard's earliest expiry", sh, short(string(key)))
		}
		link = head + bChain
	}
}

func (c *checker) free(sh int) (n int) {
	e := c.e
	for link := e.m.get(shard(sh) + sFree); link != 0; n++ {
		if !e.g.valid(link) || !c.claim(sh, link) {
			c.r.problem("shard %d: free block %d is %d, which is none or in use", sh, n+1, link)
			return n
		}
		link = e.m.get(e.g.block(link) + bNext)
	}
	return n
}

// between compares the shards with each other.
func (c *checker) between() {
	e := c.e
	if c.twice > 0 {
		c.r.problem("%d blocks are in two shards", c.twice)
	}
	sum := int64(0)
	for sh := range e.g.shards {
		sum += int64(e.m.get(shard(sh) + sForeign))
		for from := range e.g.shards {
			sum += int64(e.m.get(e.g.inbox(from, sh)) >> inboxShift)
		}
	}
	if sum != 0 {
		c.r.problem("%d blocks are lost between the shards", -sum)
	}
}
