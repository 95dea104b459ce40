package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"prefork/ipc/shm"
)

// page is what sizes are rounded up to: the largest page of any machine that
// Go runs on.
const page = 64 << 10

// format writes the header of a new segment. The rest of it is zero, which is
// an empty store.
func format(s *shm.Segment, c Config, shards int) error {
	if _, err := geometryOf(int64(s.Size()), shards); err != nil {
		return err
	}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("draw a hash key: %w", err)
	}
	m := memory(s.Words())
	m.put(hSize, uint64(s.Size()))
	m.put(hShards, uint64(shards))
	m.put(hFull, uint64(c.Full))
	m.put(hKey0, binary.LittleEndian.Uint64(key[:]))
	m.put(hKey1, binary.LittleEndian.Uint64(key[8:]))
	m.put(hNextID, 1)
	return nil
}

// size gives what a segment of a configuration has, in whole pages.
func (c Config) size() int64 {
	if c.Size == 0 {
		c.Size = DefaultSize
	}
	return (c.Size + page - 1) / page * page
}

// Private makes a store in this process' own memory, for a program that runs
// without a master: the same limits and errors, shared with nobody.
func Private(c Config) *Embedded {
	size := c.size()
	s := shm.Private(magic, int(size))
	err := format(s, c, shardsFor(size))
	if err == nil {
		var e *Embedded
		if e, err = newEmbedded(s); err == nil {
			e.identify(e.m.add(hNextID, 1) - 1)
			e.alive = func(id uint64) bool { return id == e.id }
			return e
		}
	}
	panic("store: " + err.Error()) // sizes are checked where they come in
}
