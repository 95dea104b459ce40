// Package store is what all workers of a pool share: small values by key,
// with an expiry, and counters. It outlives any worker.
//
//	fd, err := store.Create()               // the master, which never looks inside
//	s, err := store.Open(fd)                // a worker
//	s := store.Private()                    // a program without a master
//	err = s.Set("login/42", value, time.Hour)
//	value, found, err := s.Get("login/42")
//	n, err := s.Add("visits", 1)
//
// A Store may be used by any goroutine. Every operation is atomic over all
// processes: it holds one lock for the whole store, which the kernel takes
// away from a process that dies. A process that is killed in the middle
// leaves the state before the operation, or after it.
//
// It is a table of fixed size: 767 entries, values of 1 KiB. It evicts
// nothing that has not expired; a full store says ErrFull. A process that is
// stopped (SIGSTOP) with the lock in its hands makes the others wait.
package store
