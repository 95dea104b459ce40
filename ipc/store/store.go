package store

import (
	"context"
	"errors"
	"time"
)

// Store is what all workers of a pool share. The embedded store (Open,
// Private) and the one over Redis (package redis) are behind it. Its methods
// may be called by any goroutine. An operation on one key is atomic over all
// processes.
//
// The embedded store looks at a context before an operation and while it
// waits for a named lock; an operation itself waits 250 ms for a process that
// keeps a part of the store, or 1.5 s for ones that take turns. Redis has the
// context's deadline, or its own timeout, whichever is sooner.
type Store interface {
	// Get gives a copy of the entry, and whether there is one.
	Get(ctx context.Context, key string) (e Entry, found bool, err error)

	// Set writes an entry as w says and gives its version. ErrConflict: the
	// condition of w was not met; ErrFenced: the token of w is not the one
	// that holds its lock.
	Set(ctx context.Context, key string, value []byte, w Write) (version uint64, err error)

	// Delete removes an entry, whatever its version when that is 0, else only
	// with that version (ErrConflict). It says whether there was one.
	Delete(ctx context.Context, key string, version uint64) (found bool, err error)

	// Touch gives an entry a new expiry, 0 for none, and leaves its value and
	// version. It says whether there was one.
	Touch(ctx context.Context, key string, ttl time.Duration) (found bool, err error)

	// Add adds to a counter and gives its new value. A counter is decimal
	// text. One that is not there counts as 0 and never expires; the expiry
	// of one that is there stays.
	Add(ctx context.Context, key string, delta int64) (sum int64, err error)

	// Scan gives about count keys from a cursor on, and the cursor that
	// follows: 0 begins, and 0 is the end. A key that is there from the
	// first call to the last is given at least once.
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)

	// Stats gives figures of the whole store.
	Stats(ctx context.Context) (Stats, error)

	// Lock takes a named lock, waiting for it until the context ends. It is
	// released by Unlock, at the death of this process, or ttl after it was
	// taken or renewed (0: not by time). Names are not keys. A lock is not
	// re-entrant: a second Lock of one process waits too.
	Lock(ctx context.Context, name string, ttl time.Duration) (Token, error)

	// Acquire takes one of the places of a named semaphore, waiting for it
	// like Lock does. All that use one name give the same number of places (1
	// to MaxPlaces).
	Acquire(ctx context.Context, name string, places int, ttl time.Duration) (Token, error)

	// TryLock and TryAcquire are Lock and Acquire that do not wait.
	TryLock(ctx context.Context, name string, ttl time.Duration) (t Token, ok bool, err error)
	TryAcquire(ctx context.Context, name string, places int, ttl time.Duration) (t Token, ok bool, err error)

	// Unlock gives a lock or a place back. ErrFenced: it was not held any
	// more.
	Unlock(ctx context.Context, t Token) error

	// Renew gives a lock or a place that is held a new ttl. ErrFenced: it was
	// not held any more.
	Renew(ctx context.Context, t Token, ttl time.Duration) error

	// Epoch finds a named counter that starts at 0, lives as long as the
	// store and is read without a lock.
	Epoch(ctx context.Context, name string) (Epoch, error)

	// Close ends this process' view. The entries stay; its locks are
	// released.
	Close() error
}

// Entry is a copy of what the store has under a key.
type Entry struct {
	Value   []byte
	Version uint64        // another one after each Set and Add; never 0
	TTL     time.Duration // what is left of it; 0: it never expires
}

// Condition says when a Set writes.
type Condition uint8

const (
	Always    Condition = iota
	IfAbsent            // there is no entry
	IfPresent           // there is one
	IfVersion           // there is one with Write.Version
)

// Write says how Set writes. The zero value writes always, without expiry.
type Write struct {
	TTL     time.Duration // 0: never expires; a negative one deletes
	KeepTTL bool          // the expiry of the entry that is there stays; TTL is not looked at
	If      Condition
	Version uint64 // with IfVersion
	Token   Token  // the zero value asks for none
}

// Token is the proof that a lock, or a place of a semaphore, was taken. Of one
// name a later token has a higher number.
type Token struct {
	Name   string
	Number uint64 // never 0
	Places int    // 0: of a lock
}

// Epoch is a counter that tells every worker in one memory read that what it
// keeps in its own memory is out of date.
//
//	if now := epoch.Load(); now != seen { reload(); seen = now }
type Epoch interface {
	Load() uint64               // the embedded store: one memory read, never an error
	Bump(context.Context) error // adds one
}

// Stats are figures of the whole store. Counters count since it was made.
type Stats struct {
	Entries   int64 // expired ones that nobody has met yet are counted
	Bytes     int64 // capacity, 0 where it is not known
	UsedBytes int64
	Locks     int64 // named locks and semaphores that are there

	Hits, Misses  int64 // of Get
	Sets, Deletes int64
	Conflicts     int64 // Set and Delete that returned ErrConflict or ErrFenced
	Expired       int64 // entries removed because their time was over
	Evicted       int64 // entries removed, least recently used first, to make room
	Full          int64 // operations that returned ErrFull
	Busy          int64 // operations that returned ErrBusy
	Repairs       int64 // locks taken over from a dead process
	Quarantined   int64 // entries dropped because they were damaged
}

// Errors that a caller can act on. They come wrapped, with what was tried.
var (
	ErrFull        = errors.New("store: full")                                   // no room, and nothing that may go
	ErrTooLarge    = errors.New("store: too large")                              // a key above MaxKey, a value above MaxValue
	ErrNotNumber   = errors.New("store: value is not a 64-bit integer")          // Add to something else
	ErrRange       = errors.New("store: counter leaves the range of an integer") // Add past the end
	ErrConflict    = errors.New("store: condition not met")                      // somebody else wrote, or deleted
	ErrFenced      = errors.New("store: lock is not held with this token")       // the lock went to another, or to nobody
	ErrBusy        = errors.New("store: busy")                                   // a process that lives kept a part of the store for 250 ms
	ErrCorrupt     = errors.New("store: corrupt")                                // somebody wrote past this package
	ErrNoMemory    = errors.New("store: not enough memory")                      // the memory cgroup leaves less than twice the size
	ErrUnavailable = errors.New("store: unavailable")                            // Redis cannot be reached, or its breaker is open
	ErrClosed      = errors.New("store: closed")
)

// Bounds, in bytes, of either store.
const (
	MaxKey    = 4096
	MaxValue  = 1 << 20
	MaxPlaces = 1024 // of a semaphore
	MaxEpochs = 4096 // names of epochs
)
