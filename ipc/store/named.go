package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"prefork/ipc/shm"
)

// errHeld says that a lock, or all places of a semaphore, have holders that
// live.
var errHeld = errors.New("held")

// kind gives where a token's lock is kept.
func (t Token) kind() uint8 {
	if t.Places == 0 {
		return kindLock
	}
	return kindSemaphore
}

// decideNamed is decide for locks and semaphores. A lock's value is the id of
// its holder, its version the token's number. A semaphore's value is the list
// of its holders.
func (e *Embedded) decideNamed(sh int, c *change, at place, st *stored, live bool, now int64) (outcome, error) {
	if c.kind == kindSemaphore {
		return e.decidePlace(sh, c, at, st, live, now)
	}
	mine := live && st.version == c.token.Number
	switch {
	case c.verb == verbTake:
		if live {
			holder, ok := e.content(at.block, st, c.scratch[:0])
			if !ok || len(holder) != 8 {
				return keep, ErrCorrupt
			}
			if e.alive(binary.LittleEndian.Uint64(holder)) {
				return keep, errHeld
			}
		}
		c.value = binary.LittleEndian.AppendUint64(c.scratch[:0], e.id)
		return put, nil
	case !mine:
		return keep, ErrFenced
	case c.verb == verbGive:
		return remove, nil
	}
	return retime, nil
}

// tryTake takes a lock or a place, or returns errHeld.
func (e *Embedded) tryTake(name string, places int, ttl time.Duration) (Token, error) {
	t := Token{Name: name, Places: places}
	c := change{verb: verbTake, kind: t.kind(), key: []byte(name), token: t, until: expiry(e.now(), ttl)}
	c.hash = e.hashOf(c.kind, name)
	if err := e.mutate(&c); err != nil {
		return Token{}, err
	}
	t.Number = c.version
	return t, nil
}

// take takes a lock or a place, waiting as long as the context lets it. Of all
// that wait for one name in this process one waits in the kernel, for others
// to give it back; the rest wait for that one.
func (e *Embedded) take(ctx context.Context, name string, places int, ttl time.Duration) (Token, error) {
	t, err := e.tryTake(name, places, ttl)
	if err != errHeld {
		return t, err
	}
	leave, err := e.waiting.enter(ctx, Token{Name: name, Places: places}.kind(), name)
	if err != nil {
		return Token{}, err
	}
	defer leave()
	s := shard(e.g.shardOf(e.hashOf(Token{Places: places}.kind(), name)))
	e.m.add(s+sWaiting, 1)
	defer e.m.add(s+sWaiting, ^uint64(0))
	for {
		wake := e.m.get(s + sWake)
		if t, err = e.tryTake(name, places, ttl); err != errHeld {
			return t, err
		}
		if err := ctx.Err(); err != nil {
			return Token{}, err
		}
		if e.closed.Load() {
			return Token{}, ErrClosed
		}
		// Short: a holder that dies, or whose time is over, wakes nobody.
		shm.Wait(&e.m[s+sWake], wake, patience)
	}
}

// give releases a lock or a place and wakes those that wait.
func (e *Embedded) give(t Token) error {
	c := change{verb: verbGive, kind: t.kind(), key: []byte(t.Name), token: t}
	c.hash = e.hashOf(c.kind, t.Name)
	if err := e.mutate(&c); err != nil {
		return err
	}
	s := shard(e.g.shardOf(c.hash))
	e.m.add(s+sWake, 1)
	if e.m.get(s+sWaiting) != 0 {
		shm.Wake(&e.m[s+sWake], 1<<30)
	}
	return nil
}

func (e *Embedded) renew(t Token, ttl time.Duration) error {
	c := change{verb: verbRenew, kind: t.kind(), key: []byte(t.Name), token: t, until: expiry(e.now(), ttl)}
	c.hash = e.hashOf(c.kind, t.Name)
	return e.mutate(&c)
}

// Lock implements Store.
func (e *Embedded) Lock(ctx context.Context, name string, ttl time.Duration) (Token, error) {
	return e.locked(ctx, name, 0, ttl, true)
}

// Acquire implements Store.
func (e *Embedded) Acquire(ctx context.Context, name string, places int, ttl time.Duration) (Token, error) {
	if places < 1 || places > MaxPlaces {
		return Token{}, fmt.Errorf("acquire %q: %d places (want 1 to %d)", name, places, MaxPlaces)
	}
	return e.locked(ctx, name, places, ttl, true)
}

// TryLock implements Store.
func (e *Embedded) TryLock(ctx context.Context, name string, ttl time.Duration) (Token, bool, error) {
	return e.tried(e.locked(ctx, name, 0, ttl, false))
}

// TryAcquire implements Store.
func (e *Embedded) TryAcquire(ctx context.Context, name string, places int, ttl time.Duration) (Token, bool, error) {
	if places < 1 || places > MaxPlaces {
		return Token{}, false, fmt.Errorf("acquire %q: %d places (want 1 to %d)", name, places, MaxPlaces)
	}
	return e.tried(e.locked(ctx, name, places, ttl, false))
}

func (e *Embedded) tried(t Token, err error) (Token, bool, error) {
	if errors.Is(err, errHeld) {
		return Token{}, false, nil
	}
	return t, err == nil, err
}

func (e *Embedded) locked(ctx context.Context, name string, places int, ttl time.Duration, wait bool) (t Token, err error) {
	if err = e.enter(ctx, len(name), 0); err == nil {
		switch {
		case ttl < 0:
			err = fmt.Errorf("ttl of %v (want 0, for none, or more)", ttl)
		case wait:
			t, err = e.take(ctx, name, places, ttl)
		default:
			t, err = e.tryTake(name, places, ttl)
		}
	}
	if err != nil {
		return Token{}, fmt.Errorf("lock %q: %w", name, err)
	}
	return t, nil
}

// Unlock implements Store.
func (e *Embedded) Unlock(ctx context.Context, t Token) error {
	err := e.enter(ctx, len(t.Name), 0)
	if err == nil {
		err = e.give(t)
	}
	if err != nil {
		return fmt.Errorf("unlock %q: %w", t.Name, err)
	}
	return nil
}

// Renew implements Store.
func (e *Embedded) Renew(ctx context.Context, t Token, ttl time.Duration) error {
	err := e.enter(ctx, len(t.Name), 0)
	if err == nil && ttl < 0 {
		err = fmt.Errorf("ttl of %v (want 0, for none, or more)", ttl)
	}
	if err == nil {
		err = e.renew(t, ttl)
	}
	if err != nil {
		return fmt.Errorf("renew %q: %w", t.Name, err)
	}
	return nil
}
