//go:build crashpoints

package store

const crashpoints = true

// crashpoint is called after each store into a segment. Tests set it before
// they begin.
var crashpoint = func(memory) {}

// OnCrashPoint has f called after each store that this process makes into a
// segment, under the lock of a shard most of the time: for tests that stop or
// kill it there. It is called before the store is used.
func OnCrashPoint(f func()) { crashpoint = func(memory) { f() } }
