// Package faults holds the tests that run the real binary and do to it what
// production does: kill, stop, starve, misconfigure and reload it under load,
// on a plain machine and under a real systemd.
//
// Everything but this file is behind the build tag faults and runs on Linux:
//
//	go test -tags faults ./scripts/faults/...                       a tenth of the counts, as the gate runs it
//	PREFORK_TEST_FULL=1 go test -tags faults -run Storm ./scripts/faults/...   full counts
//
// The rig_*.go files are what the tests stand on. A test starts a pool with
// [Start], drives it through its signals, its command line and its control
// socket, and states what it measured with [Figure]. When the test ends, the
// rig stops the pool and fails the test if a process, a descriptor or a
// socket file is left.
//
// A worker that only a test needs is a role of the test binary: see [Role].
package faults
