package store

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"prefork/ipc/shm"
)

// Embedded is one process' view of the store. Its methods may be called by any
// goroutine.
type Embedded struct {
	mu      sync.Mutex // in front of lock, which knows processes and not goroutines
	segment *shm.Segment
	lock    fileLock // guarded by mu
}

// Private makes a store in this process' own memory, for a program that runs
// without a master: the same limits and errors, shared with nobody.
func Private() *Embedded {
	return &Embedded{segment: shm.Private(magic, segmentSize), lock: noLock}
}

// Close ends this view. The entries stay.
func (s *Embedded) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segment == nil {
		return nil
	}
	segment := s.segment
	s.segment = nil
	return errors.Join(s.lock.close(), segment.Unmap())
}

// Get gives a copy of the value, and whether there is one.
func (s *Embedded) Get(key string) (value []byte, found bool, err error) {
	err = s.do("get", key, func(t *table) error {
		if t.block >= 0 {
			value, found = t.value(t.block), true
		}
		return nil
	})
	return value, found, err
}

// Set writes an entry. It expires after ttl; 0 means never, and one that is
// negative has expired already.
func (s *Embedded) Set(key string, value []byte, ttl time.Duration) error {
	if len(value) > MaxValue {
		return fmt.Errorf("set %q: %w: value of %d bytes (max %d)", key, ErrTooLarge, len(value), MaxValue)
	}
	return s.do("set", key, func(t *table) error {
		switch {
		case ttl < 0:
			t.remove()
			return nil
		case ttl == 0 || int64(ttl) > math.MaxInt64-t.now:
			return t.write(key, value, 0)
		}
		return t.write(key, value, t.now+int64(ttl))
	})
}

// Delete removes an entry, if there is one.
func (s *Embedded) Delete(key string) error {
	return s.do("delete", key, func(t *table) error {
		t.remove()
		return nil
	})
}

// Add adds to a counter and gives its new value. One that is not there counts
// as 0 and never expires; an expiry that Set gave stays. The value is decimal
// text, for Get and Set too.
func (s *Embedded) Add(key string, delta int64) (sum int64, err error) {
	err = s.do("add to", key, func(t *table) error {
		var have, expiry int64
		if t.block >= 0 {
			n, err := strconv.ParseInt(string(t.value(t.block)), 10, 64)
			if err != nil {
				return ErrNotNumber
			}
			have, expiry = n, t.expiry(t.block)
		}
		if delta > 0 && have > math.MaxInt64-delta || delta < 0 && have < math.MinInt64-delta {
			return ErrRange
		}
		sum = have + delta
		return t.write(key, strconv.AppendInt(nil, sum, 10), expiry)
	})
	if err != nil {
		return 0, err
	}
	return sum, nil
}

// do runs one operation under the locks, with the table looked through for
// its key.
func (s *Embedded) do(verb, key string, operation func(*table) error) (err error) {
	if len(key) > MaxKey {
		return fmt.Errorf("%s key: %w: %d bytes (max %d)", verb, ErrTooLarge, len(key), MaxKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segment == nil {
		return ErrClosed
	}
	if err := s.lock.acquire(); err != nil {
		return fmt.Errorf("%s %q: %w", verb, key, err)
	}
	defer func() { err = errors.Join(err, s.lock.release()) }()
	t := table{segment: s.segment, now: boottime()}
	err = t.find(key)
	if err == nil {
		err = operation(&t)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", verb, key, err)
	}
	return nil
}
