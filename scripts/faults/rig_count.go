//go:build faults

package faults

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Full reports whether this run does the full counts: PREFORK_TEST_FULL=1, as
// `scripts/test long` sets it.
func Full() bool { return os.Getenv("PREFORK_TEST_FULL") == "1" }

// Count gives the number of rounds for a test whose full count is full: that
// number in a full run, else a tenth of it, at least 1.
func Count(t testing.TB, full int) int {
	t.Helper()
	n := full
	if !Full() {
		n = max(1, full/10)
	}
	t.Logf("%d of %d rounds", n, full)
	return n
}

// Figure states a measured result, on a line of stdout of its own that
// scripts/test and reports read: "figure NAME: TEXT".
func Figure(t testing.TB, name, format string, args ...any) {
	t.Helper()
	// Not t.Log: a figure of a test that passed must be seen without -v.
	fmt.Printf("figure %s: %s\n", name, fmt.Sprintf(format, args...))
}

// Patience is how long the rig waits for anything that must come. It bounds a
// failure, it is never a measurement: a test that cares for time takes its own.
const Patience = 30 * time.Second
