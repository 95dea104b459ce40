//go:build faults

package faults

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
)

// openStore joins the store of a pool from the test's own process: the
// descriptor is taken from the master.
func (p *Pool) openStore(t testing.TB, o store.Options) *store.Embedded {
	t.Helper()
	fd := openMemfd(t, p.PID, "prefork-store")
	s, err := store.Open(fd, o)
	_ = unix.Close(fd) // Open has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fdNumbers gives the paths of what a process has open.
func fdNumbers(t testing.TB, pid int) []string {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths
}

// background is the context of operations that the store bounds by itself.
var background = context.Background()
