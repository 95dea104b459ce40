// Package redis is store.Store over a Redis or Valkey server: one, one behind
// Sentinel, or a cluster. It is for pools that have outgrown one machine.
//
//	import _ "prefork/ipc/redis" // then a worker's Store() follows PREFORK_STORE=redis://...
//
//	s, err := redis.Open(ctx, "rediss://app@db.example/0?ca=/etc/app/ca.pem&prefix=app:")
//
// Values are what was written, byte for byte, under the key that was given
// with the prefix before it: programs in other languages read and write them
// with any client. docs/reference/redis.md has the URL's forms and options.
//
// # What differs from the embedded store
//
// A version is made from the value (the first 8 bytes of its SHA-1), so that a
// write by any other client, which knows no versions, changes it too. Two
// entries with equal values have equal versions.
//
// A lock is a lease. While this process lives it is renewed in the background;
// when it died the lock is free a lease later (10 s). A process that was
// stopped for longer than its lease may still think that it holds the lock:
// give Set the token.
//
// An acknowledged write may be lost when a replica takes over: replication is
// asynchronous. So may a lock.
//
// An epoch is read from memory and refreshed every 100 ms.
//
// An operation is sent once. One that returned ErrUnavailable may have been
// carried out or not.
package redis
