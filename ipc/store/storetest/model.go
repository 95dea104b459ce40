package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"prefork/ipc/store"
)

// Model is a store in a map with one mutex: the reference that others are
// compared with. It has no bound on its memory, so it never returns
// store.ErrFull, and no process of its own, so that only Close stands for the
// death of one.
type Model struct {
	// Now is its clock. Set it before the first use; nil: time.Now.
	Now func() time.Time

	mu     sync.Mutex
	last   uint64 // the newest version and token number, of whatever name
	values map[string]value
	holds  map[lockName]map[uint64]time.Time // until when, by token number; the zero time: not by time
	epochs map[string]*atomic.Uint64
	stats  store.Stats
	closed bool
	moved  chan struct{} // closed when a lock may have come free
}

type value struct {
	bytes   []byte
	version uint64
	until   time.Time // zero: never expires
}

// lockName keeps locks and semaphores of one name apart.
type lockName struct {
	name      string
	semaphore bool
}

var _ store.Store = (*Model)(nil)

// NewModel makes an empty one.
func NewModel() *Model {
	return &Model{
		values: make(map[string]value),
		holds:  make(map[lockName]map[uint64]time.Time),
		epochs: make(map[string]*atomic.Uint64),
		moved:  make(chan struct{}),
	}
}

func (m *Model) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// until gives the time that a ttl means: the zero time for 0, or for one that
// is too far to be told.
func (m *Model) until(ttl time.Duration) time.Time {
	if ttl == 0 || ttl > math.MaxInt64/2 {
		return time.Time{}
	}
	return m.now().Add(ttl)
}

func (m *Model) over(until time.Time) bool { return !until.IsZero() && !m.now().Before(until) }

// enter checks what every operation checks first, and takes the mutex.
func (m *Model) enter(ctx context.Context, key string, size int) error {
	if len(key) > store.MaxKey {
		return fmt.Errorf("%w: key of %d bytes (max %d)", store.ErrTooLarge, len(key), store.MaxKey)
	}
	if size > store.MaxValue {
		return fmt.Errorf("%w: value of %d bytes (max %d)", store.ErrTooLarge, size, store.MaxValue)
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		m.mu.Unlock()
		return err
	}
	return nil
}

// look finds an entry that has not expired. Preconditions: mu is held.
func (m *Model) look(key string) (value, bool) {
	v, found := m.values[key]
	if found && m.over(v.until) {
		delete(m.values, key)
		m.stats.Expired++
		return value{}, false
	}
	return v, found
}

// put writes an entry with a new version. Preconditions: mu is held.
func (m *Model) put(key string, bytes []byte, until time.Time) uint64 {
	m.last++
	m.values[key] = value{slices.Clone(bytes), m.last, until}
	m.stats.Sets++
	return m.last
}

// Get implements store.Store.
func (m *Model) Get(ctx context.Context, key string) (e store.Entry, found bool, err error) {
	if err := m.enter(ctx, key, 0); err != nil {
		return store.Entry{}, false, fmt.Errorf("get: %w", err)
	}
	defer m.mu.Unlock()
	v, found := m.look(key)
	if !found {
		m.stats.Misses++
		return store.Entry{}, false, nil
	}
	m.stats.Hits++
	e = store.Entry{Value: slices.Clone(v.bytes), Version: v.version}
	if !v.until.IsZero() {
		e.TTL = v.until.Sub(m.now())
	}
	return e, true, nil
}

// Set implements store.Store.
func (m *Model) Set(ctx context.Context, key string, bytes []byte, w store.Write) (version uint64, err error) {
	if err := m.enter(ctx, key, len(bytes)); err != nil {
		return 0, fmt.Errorf("set: %w", err)
	}
	defer m.mu.Unlock()
	if w.Token != (store.Token{}) && !m.held(w.Token) {
		m.stats.Conflicts++
		return 0, fmt.Errorf("set: %w", store.ErrFenced)
	}
	v, found := m.look(key)
	if w.If == store.IfAbsent && found || w.If == store.IfPresent && !found ||
		w.If == store.IfVersion && (!found || v.version != w.Version) {
		m.stats.Conflicts++
		return 0, fmt.Errorf("set: %w", store.ErrConflict)
	}
	switch {
	case w.KeepTTL:
		return m.put(key, bytes, v.until), nil // the zero time when there was none
	case w.TTL < 0:
		delete(m.values, key)
		return 0, nil
	}
	return m.put(key, bytes, m.until(w.TTL)), nil
}

// Delete implements store.Store.
func (m *Model) Delete(ctx context.Context, key string, version uint64) (found bool, err error) {
	if err := m.enter(ctx, key, 0); err != nil {
		return false, fmt.Errorf("delete: %w", err)
	}
	defer m.mu.Unlock()
	v, found := m.look(key)
	if !found {
		return false, nil
	}
	if version != 0 && version != v.version {
		m.stats.Conflicts++
		return false, fmt.Errorf("delete: %w", store.ErrConflict)
	}
	delete(m.values, key)
	m.stats.Deletes++
	return true, nil
}

// Touch implements store.Store. A negative ttl deletes.
func (m *Model) Touch(ctx context.Context, key string, ttl time.Duration) (found bool, err error) {
	if err := m.enter(ctx, key, 0); err != nil {
		return false, fmt.Errorf("touch: %w", err)
	}
	defer m.mu.Unlock()
	v, found := m.look(key)
	if !found {
		return false, nil
	}
	if ttl < 0 {
		delete(m.values, key)
		return true, nil
	}
	v.until = m.until(ttl)
	m.values[key] = v
	return true, nil
}

// Add implements store.Store.
func (m *Model) Add(ctx context.Context, key string, delta int64) (sum int64, err error) {
	if err := m.enter(ctx, key, 0); err != nil {
		return 0, fmt.Errorf("add: %w", err)
	}
	defer m.mu.Unlock()
	v, found := m.look(key)
	have := int64(0)
	if found {
		if have, err = strconv.ParseInt(string(v.bytes), 10, 64); err != nil || strconv.FormatInt(have, 10) != string(v.bytes) {
			return 0, fmt.Errorf("add: %w", store.ErrNotNumber)
		}
	}
	if delta > 0 && have > math.MaxInt64-delta || delta < 0 && have < math.MinInt64-delta {
		return 0, fmt.Errorf("add: %w", store.ErrRange)
	}
	m.put(key, strconv.AppendInt(nil, have+delta, 10), v.until)
	return have + delta, nil
}

// Scan implements store.Store. It gives all keys at once, which the contract
// allows: "about count".
func (m *Model) Scan(ctx context.Context, _ uint64, _ int) (keys []string, next uint64, err error) {
	if err := m.enter(ctx, "", 0); err != nil {
		return nil, 0, fmt.Errorf("scan: %w", err)
	}
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		if _, found := m.look(key); found {
			keys = append(keys, key)
		}
	}
	return keys, 0, nil
}

// Stats implements store.Store.
func (m *Model) Stats(ctx context.Context) (store.Stats, error) {
	if err := m.enter(ctx, "", 0); err != nil {
		return store.Stats{}, fmt.Errorf("stats: %w", err)
	}
	defer m.mu.Unlock()
	s := m.stats
	s.Entries = int64(len(m.values))
	for key, v := range m.values {
		s.UsedBytes += int64(len(key) + len(v.bytes))
	}
	for _, of := range m.holds {
		if len(of) > 0 {
			s.Locks++
		}
	}
	return s, nil
}

// Epoch implements store.Store.
func (m *Model) Epoch(ctx context.Context, name string) (store.Epoch, error) {
	if err := m.enter(ctx, name, 0); err != nil {
		return nil, fmt.Errorf("epoch: %w", err)
	}
	defer m.mu.Unlock()
	word := m.epochs[name]
	if word == nil {
		if len(m.epochs) == store.MaxEpochs {
			return nil, fmt.Errorf("epoch: %w: %d names", store.ErrFull, store.MaxEpochs)
		}
		word = new(atomic.Uint64)
		m.epochs[name] = word
	}
	return epoch{word}, nil
}

type epoch struct{ word *atomic.Uint64 }

func (e epoch) Load() uint64 { return e.word.Load() }

func (e epoch) Bump(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("bump: %w", err)
	}
	e.word.Add(1)
	return nil
}

// Close implements store.Store: every lock was its own.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	clear(m.holds)
	m.wake()
	return nil
}

var errTTL = errors.New("negative ttl")
