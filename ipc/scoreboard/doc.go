// Package scoreboard is the shared table in which each process of a pool says
// what it does: one cell a process, written by that process alone.
//
//	b, err := scoreboard.Create()              // the master
//	cell, ok := b.Alloc(slot, generation, id)  // before a spawn; not ok: it runs without one
//	snap, err := b.Read(cell)                  // a checked copy of its numbers
//	h, err := b.Latency(cell)                  // of its latencies: h.Quantile(0.99)
//	now, err := b.Serving(cell)                // of the requests of this moment
//	b.Free(cell)                               // after the reap; what it counted stays in b.Totals()
//
//	c, err := scoreboard.Open(fd, cell)        // the worker
//	c.AddConnections(1)                        // nil is a valid cell, which does nothing
//	var r scoreboard.Request
//	r.Begin(c, "GET", "/", "127.0.0.1:4711")
//	c.Advance()                                // bytes of it were read or written
//	r.End()
//
// A Board is for one goroutine, a Cell for all of its process. No method waits
// for another process; Create, Open, Alloc and Close alone make system calls,
// and a request that finds no place takes a lock of its process.
//
// The master trusts nothing in the segment: which cells are in use, and whose
// they are, it keeps in its own memory; what it copies it checks (ErrBadCell);
// it takes no pid, no offset and no length from there that is not bounded. A
// worker that scribbles over the whole segment spoils numbers and texts, and
// nothing else. Totals never go back, whatever the cells say.
package scoreboard
