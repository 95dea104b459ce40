package store

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Who reserves the memory and is stopped on the way keeps nobody from the
// store.
func TestStoppedReserverKeepsNobodyOut(t *testing.T) {
	g, err := Create(Config{Size: MinSize})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", g.FD()), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(own) }()
	stopped := g.DrawID()
	if err := claim(own, stopped); err != nil {
		t.Fatal(err)
	}
	g.m.put(hReserver, stopped<<1)
	e, err := Open(g.FD(), Options{ID: g.DrawID()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if had, err := allocated(g.FD()); err != nil || had < MinSize {
		t.Errorf("%d bytes of %d are there, %v", had, MinSize, err)
	}
}
