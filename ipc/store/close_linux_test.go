package store

import (
	"errors"
	"testing"
	"time"
)

// A view whose operation has a shard's lock lives until that is over.
func TestCloseWaitsForAnOperationThatIsUnderWay(t *testing.T) {
	g, err := Create(Config{Size: MinSize})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	var views [2]*Embedded
	for i := range views {
		if views[i], err = Open(g.FD(), Options{ID: g.DrawID()}); err != nil {
			t.Fatal(err)
		}
	}
	e, other := views[0], views[1]
	defer func() { _ = other.Close() }()
	if err := e.lock(0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Close() }()
	select {
	case err := <-done:
		t.Errorf("closed with a lock: %v", err)
	case <-time.After(5 * patience):
	}
	if !other.alive(e.id) {
		t.Error("who has a lock counts as dead")
	}
	e.unlock(0)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if other.alive(e.id) {
		t.Error("who is closed counts as alive")
	}
	if !e.alive(other.id) {
		t.Error("after it is closed it counts others as dead")
	}
	if err := e.lock(0); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	if id, _, _ := g.Holder(0); id != 0 {
		t.Errorf("%d has the lock", id)
	}
}
