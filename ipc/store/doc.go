// Package store is what all workers of a pool share: values by key with an
// expiry and a version, counters, named locks and semaphores, epochs. It
// outlives any worker.
//
//	seg, err := store.Create(store.Config{})       // the master, which never looks inside
//	s, err := store.Open(fd, store.Options{ID: id}) // a worker
//	s := store.Private(store.Config{})              // a program without a master
//	version, err := s.Set(ctx, "login/42", value, store.Write{TTL: time.Hour})
//	entry, found, err := s.Get(ctx, "login/42")
//
// Store is the interface that this package and package redis meet.
//
// # How the embedded store works
//
// The segment is divided into shards, by a keyed hash of the key. A shard has a
// hash index, a list of free blocks of 128 bytes and a lock. A write fills free
// blocks with the new entry, notes which words it is about to set in the
// shard's journal, and sets them: from the moment the journal is complete it
// has happened, before it has not. Whoever finds that the holder of the lock is
// dead sets the words of its journal, again or for the first time, and goes on.
// A read takes no lock: it copies, and looks whether the shard's sequence is
// the same as before.
//
// Who is dead the kernel says: see Open. A lock is never taken from a process
// that lives: after 250 ms an operation returns ErrBusy, and tells Options.Busy.
//
// Every word is moved by a 64-bit atomic operation, payload included, so that
// the Go memory model covers what one process reads while another writes. On
// amd64 runs of stores are plain moves in assembly, with the order that this
// architecture gives them (memory_amd64.go). The order on arm64 is an argument
// from the memory model; it was not run on hardware.
//
// # Limits
//
// Keys to 4 KiB, values to 1 MiB. Memory is the size that was asked for, all
// of it reserved at the first Open. A full store removes what has expired
// first; then what was not used for the longest time (of a sample), or it says
// ErrFull, as configured. An entry fills whole blocks: 64 bytes of key and
// value in the first, 112 in each other.
package store
