package storetest

import (
	"context"
	"fmt"
	"time"

	"prefork/ipc/store"
)

func nameOf(t store.Token) lockName { return lockName{t.Name, t.Places != 0} }

// held says whether a token holds its lock or place. Preconditions: mu is
// held.
func (m *Model) held(t store.Token) bool {
	until, found := m.holds[nameOf(t)][t.Number]
	return found && !m.over(until)
}

// wake lets those that wait try again. Preconditions: mu is held.
func (m *Model) wake() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// take takes a lock, or a place when places is not 0, if one is free. moved is
// closed when it is worth another try; soonest is when the first holder's time
// is over.
func (m *Model) take(ctx context.Context, name string, places int, ttl time.Duration) (t store.Token, ok bool, moved <-chan struct{}, soonest time.Time, err error) {
	if ttl < 0 {
		return t, false, nil, soonest, errTTL
	}
	if places < 0 || places > store.MaxPlaces {
		return t, false, nil, soonest, fmt.Errorf("%d places (want 1 to %d)", places, store.MaxPlaces)
	}
	if err := m.enter(ctx, name, 0); err != nil {
		return t, false, nil, soonest, err
	}
	defer m.mu.Unlock()
	key := lockName{name, places != 0}
	of := m.holds[key]
	for number, until := range of {
		switch {
		case m.over(until):
			delete(of, number)
		case !until.IsZero() && (soonest.IsZero() || until.Before(soonest)):
			soonest = until
		}
	}
	if len(of) >= max(1, places) {
		return t, false, m.moved, soonest, nil
	}
	if of == nil {
		of = make(map[uint64]time.Time)
		m.holds[key] = of
	}
	m.last++
	of[m.last] = m.until(ttl)
	return store.Token{Name: name, Number: m.last, Places: places}, true, nil, soonest, nil
}

// wait is take again and again.
func (m *Model) wait(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, error) {
	for {
		t, ok, moved, soonest, err := m.take(ctx, name, places, ttl)
		if ok || err != nil {
			return t, err
		}
		var timeout <-chan time.Time // none: no holder's time will ever be over
		if !soonest.IsZero() {
			timeout = time.After(max(time.Millisecond, soonest.Sub(m.now())))
		}
		select {
		case <-moved:
		case <-timeout:
		case <-ctx.Done():
			return store.Token{}, ctx.Err()
		}
	}
}

// Lock implements store.Store.
func (m *Model) Lock(ctx context.Context, name string, ttl time.Duration) (store.Token, error) {
	t, err := m.wait(ctx, name, 0, ttl)
	return t, wrap("lock", name, err)
}

// TryLock implements store.Store.
func (m *Model) TryLock(ctx context.Context, name string, ttl time.Duration) (store.Token, bool, error) {
	t, ok, _, _, err := m.take(ctx, name, 0, ttl)
	return t, ok, wrap("lock", name, err)
}

// Acquire implements store.Store.
func (m *Model) Acquire(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, error) {
	if places == 0 {
		places = -1 // 0 would be a lock
	}
	t, err := m.wait(ctx, name, places, ttl)
	return t, wrap("acquire", name, err)
}

// TryAcquire implements store.Store.
func (m *Model) TryAcquire(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, bool, error) {
	if places == 0 {
		places = -1
	}
	t, ok, _, _, err := m.take(ctx, name, places, ttl)
	return t, ok, wrap("acquire", name, err)
}

// Unlock implements store.Store.
func (m *Model) Unlock(ctx context.Context, t store.Token) error {
	if err := m.enter(ctx, t.Name, 0); err != nil {
		return wrap("unlock", t.Name, err)
	}
	defer m.mu.Unlock()
	if !m.held(t) {
		return wrap("unlock", t.Name, store.ErrFenced)
	}
	delete(m.holds[nameOf(t)], t.Number)
	m.wake()
	return nil
}

// Renew implements store.Store.
func (m *Model) Renew(ctx context.Context, t store.Token, ttl time.Duration) error {
	if ttl < 0 {
		return wrap("renew", t.Name, errTTL)
	}
	if err := m.enter(ctx, t.Name, 0); err != nil {
		return wrap("renew", t.Name, err)
	}
	defer m.mu.Unlock()
	if !m.held(t) {
		return wrap("renew", t.Name, store.ErrFenced)
	}
	m.holds[nameOf(t)][t.Number] = m.until(ttl)
	m.wake() // the time that others wait for may be another
	return nil
}

func wrap(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", verb, name, err)
}
