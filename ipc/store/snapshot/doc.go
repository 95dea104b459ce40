// Package snapshot keeps the entries of a store in a file, so that they outlive
// the machine's memory.
//
//	err := snapshot.Save(ctx, "/var/lib/shop/store", s)
//	entries, err := snapshot.Load(ctx, "/var/lib/shop/store", s)
//
// Kept are key, value and expiry of each entry; a counter is a value like any
// other. An expiry goes on by the wall clock while the file lies there: what
// had ten minutes left when it was written is gone when it is read after
// eleven, also on the other side of a reboot. A wall clock that stands before
// the time of writing counts as that time. Not kept are versions, which begin
// anew, and what belongs to processes: locks, semaphores, epochs.
//
// A snapshot is not one moment of the store. Each entry is as it was at some
// moment between begin and end of the writing, and an entry that came or went
// meanwhile is in it or is not.
//
// A file is read to its end and verified before the first entry of it reaches a
// store: ErrDamaged means that nothing was loaded. Reading and writing need a
// fixed amount of memory, whatever the size of the store. The functions may be
// called by any goroutine; they know nothing of each other.
//
// # Format
//
// Version 1. Numbers are little endian. A file is a header, records, and an
// end mark; nothing follows.
//
//	header, 36 bytes
//	offset width
//	  0     16   "prefork snapshot"
//	 16      4   version: 1
//	 20      4   zero
//	 24      8   time of writing: nanoseconds since 1970, UTC, signed
//	 32      4   sum
//
//	record
//	offset width
//	  0      1   'E'
//	  1      1   zero
//	  2      2   length of the key, at most 4096
//	  4      4   length of the value, at most 1048576
//	  8      8   expiry, nanoseconds after the time of writing; 0: none
//	 16          key, value
//	         4   sum
//
//	end mark, 20 bytes
//	offset width
//	  0      1   'Z'
//	  1      7   zero
//	  8      8   number of records
//	 16      4   sum
//
// A sum is the CRC-32C (Castagnoli) of all bytes from the begin of the file up
// to it, without the sums before it. So it says of each record that it is whole and that
// it stands where it was written; the end mark says that none is missing.
package snapshot
