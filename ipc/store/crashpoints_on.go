//go:build crashpoints

package store

const crashpoints = true

// crashpoint is called after each store into a segment. Tests set it before
// they begin.
var crashpoint = func(memory) {}
