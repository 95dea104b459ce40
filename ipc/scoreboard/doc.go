// Package scoreboard is the shared table in which each process of a pool says
// what it does: one cell a process, written by that process alone.
//
//	b, err := scoreboard.Create()              // the master
//	cell, ok := b.Alloc(slot, generation, id)  // before a spawn; not ok: it runs without one
//	snap, err := b.Read(cell)                  // a checked copy
//	b.Free(cell)                               // after the reap
//
//	c, err := scoreboard.Open(fd, cell)        // the worker
//	c.AddConnections(1)                        // nil is a valid cell, which does nothing
//
// A Board is for one goroutine, a Cell for all of its process. No method
// waits, takes a lock or makes a system call, but for Create, Open and Close.
//
// The master trusts nothing in the segment: which cells are in use, and whose
// they are, it keeps in its own memory; what it copies it checks (ErrBadCell);
// it takes no pid, no offset and no length from there. A worker that
// scribbles over the whole segment spoils numbers and nothing else.
package scoreboard
