//go:build !crashpoints

package store

// crashpoints is true in the build that tests recovery at every store.
const crashpoints = false

func crashpoint(memory) {}
