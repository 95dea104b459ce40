package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"prefork/ipc/store"
)

// embedded is the store: an expiry for each entry, as sessions have.
type embedded struct{ s store.Store }

func openStore(fd int) (backend, error) {
	s, err := store.Open(fd, store.Options{})
	if err != nil {
		return nil, err
	}
	return embedded{s}, nil
}

func (b embedded) get(key string) error {
	e, found, err := b.s.Get(context.Background(), key)
	return wanted(key, len(e.Value), found, err)
}

func (b embedded) set(key string, value []byte) error {
	_, err := b.s.Set(context.Background(), key, value, store.Write{TTL: time.Hour})
	return err
}

func wanted(key string, length int, found bool, err error) error {
	if err == nil && (!found || length != valueSize) {
		err = fmt.Errorf("get %s: %d bytes, found %v", key, length, found)
	}
	return err
}

// locked is the limit: a map and a mutex, which one process has for itself.
// Like a store it gives copies, and takes copies.
type locked struct {
	mu      sync.Mutex
	entries map[string][]byte
}

func newMap(n int) *locked { return &locked{entries: make(map[string][]byte, n)} }

func (m *locked) get(key string) error {
	m.mu.Lock()
	value, found := m.entries[key]
	value = append([]byte(nil), value...)
	m.mu.Unlock()
	return wanted(key, len(value), found, nil)
}

func (m *locked) set(key string, value []byte) error {
	value = append([]byte(nil), value...)
	m.mu.Lock()
	m.entries[key] = value
	m.mu.Unlock()
	return nil
}
