// Package shm makes the shared memory of a pool: segments of fixed size in a
// memfd (memfd_create(2)), sealed so that nobody who holds the descriptor can
// shrink it under a reader (SIGBUS) or grow it.
//
//	s, err := shm.Create("scoreboard", magic, size) // the master
//	s, err := shm.Open(fd, magic, size)             // a worker
//	s.Word(64).Store(1)
//	err = s.Unmap()
//
// A segment is sparse: a page costs memory from the first access on, and a
// read is an access too (a shared mapping has no zero page). The first word
// holds a magic number that names the layout, its version in the lowest 16
// bits; everything else is the caller's. All access is by atomic 64-bit words: another process may change
// any of them at any time, and may be hostile.
package shm
