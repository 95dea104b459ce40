package demo

import "time"

// Table is where logins are kept: a map in the worker's own memory (Globals),
// or the store that all workers share.
type Table interface {
	// Get reports false when there is no value, or no more.
	Get(key string) (value []byte, found bool, err error)
	Set(key string, value []byte, ttl time.Duration) error
	Delete(key string) error
}

// Store is what all workers of the pool see alike.
type Store interface {
	Table
	// Add adds delta to the number under key and returns the sum. A key that
	// is missing counts as 0.
	Add(key string, delta int64) (int64, error)
}

// Keys in the shared store. All begin with "demo/", so that whoever looks into
// the store knows whose they are.
const (
	keyRequests = "demo/requests" // number: the counter that all share
	keyWorker   = "demo/worker/"  // + slot: the roster's entry
	keyLogin    = "demo/login/"   // + hash of the token
)
