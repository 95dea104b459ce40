package demo

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// maxGlobals bounds the map of a Globals: a visitor can make entries, and
// nobody else looks after a worker's memory.
const maxGlobals = 4096

var errGlobalsFull = errors.New("keep login in a global: the map is full (4096 entries)")

// Globals is what a worker has in memory for itself: a number and a map, as a
// program would keep them in package-level variables. Each process has its own
// copy, and it is gone with the process. The zero value is ready to use.
type Globals struct {
	requests atomic.Int64

	mu      sync.Mutex
	entries map[string]globalEntry // guarded by mu
}

type globalEntry struct {
	value []byte
	until time.Time
}

// Get implements Table.
func (g *Globals) Get(key string) ([]byte, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.entries[key]
	if !ok || !time.Now().Before(e.until) {
		return nil, false, nil
	}
	return e.value, true, nil
}

// Set implements Table. It keeps value, which the caller does not change any more.
func (g *Globals) Set(key string, value []byte, ttl time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.entries) >= maxGlobals {
		g.expireLocked()
	}
	if _, there := g.entries[key]; !there && len(g.entries) >= maxGlobals {
		return errGlobalsFull
	}
	if g.entries == nil {
		g.entries = make(map[string]globalEntry)
	}
	g.entries[key] = globalEntry{value: value, until: time.Now().Add(ttl)}
	return nil
}

// Delete implements Table.
func (g *Globals) Delete(key string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.entries, key)
	return nil
}

func (g *Globals) expireLocked() {
	now := time.Now()
	for key, e := range g.entries {
		if !now.Before(e.until) {
			delete(g.entries, key)
		}
	}
}
