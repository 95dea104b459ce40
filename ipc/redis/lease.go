package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"prefork/ipc/store"
)

// leases are the locks and places that this process holds. On the server each
// is held for a lease; a goroutine renews them until their ttl is over, so
// that the death of this process frees them a lease later.
type leases struct {
	mu      sync.Mutex
	held    map[store.Token]*lease
	running bool
	changed chan struct{} // holds one value when the goroutine must look again
}

type lease struct {
	token store.Token

	mu    sync.Mutex // held while the server is asked to renew it, so that a shorter ttl is never overtaken
	until time.Time  // end of the ttl; zero: none
	next  time.Time  // when it must be renewed; zero: not any more
	gone  bool       // given back, or lost
}

// leaseOf gives what the server is told: no longer than a lease, and no longer
// than the ttl.
func (s *Store) leaseOf(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return s.set.lease
	}
	return min(ttl, s.set.lease)
}

// schedule says when a lease that was asked for at a time must be renewed.
// Preconditions: l.mu is held, or nobody else has l.
func (s *Store) schedule(l *lease, asked time.Time, ttl time.Duration) {
	l.until, l.next = time.Time{}, asked.Add(s.set.lease/3)
	if ttl > 0 {
		l.until = asked.Add(ttl)
		if ttl <= s.set.lease {
			l.next = time.Time{}
		}
	}
}

// keep notes a lock that was taken.
func (s *Store) keep(t store.Token, asked time.Time, ttl time.Duration) {
	l := &lease{token: t}
	s.schedule(l, asked, ttl)
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	if s.leases.held == nil {
		s.leases.held = make(map[store.Token]*lease)
		s.leases.changed = make(chan struct{}, 1)
	}
	s.leases.held[t] = l
	s.look()
}

// look has the goroutine look at what is held. Preconditions: leases.mu is
// held.
func (s *Store) look() {
	if !s.leases.running && !s.closed.Load() {
		s.leases.running = true
		s.behind.Go(s.renewAll)
	}
	select {
	case s.leases.changed <- struct{}{}:
	default: // it will look
	}
}

func (s *Store) find(t store.Token) *lease {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return s.leases.held[t]
}

// drop forgets a lock.
func (s *Store) drop(t store.Token) {
	l := s.find(t)
	if l == nil {
		return
	}
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	s.leases.mu.Lock()
	delete(s.leases.held, t)
	s.leases.mu.Unlock()
}

// renew gives a lock a new ttl, and has it renewed from now on if another
// process took it.
func (s *Store) renew(ctx context.Context, t store.Token, ttl time.Duration) error {
	l := s.find(t)
	if l == nil {
		l = &lease{token: t}
	}
	l.mu.Lock()
	asked := time.Now()
	err := s.renewAs(ctx, t, s.leaseOf(ttl))
	if err == nil {
		s.schedule(l, asked, ttl)
	}
	gone := l.gone
	l.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrFenced):
		s.drop(t)
	case err == nil && !gone:
		s.leases.mu.Lock()
		if s.leases.held == nil {
			s.leases.held = make(map[store.Token]*lease)
			s.leases.changed = make(chan struct{}, 1)
		}
		s.leases.held[t] = l
		s.look()
		s.leases.mu.Unlock()
	}
	return err
}

func (s *Store) renewAs(ctx context.Context, t store.Token, lease time.Duration) error {
	n, err := number(s.script(ctx, scriptRenew, []string{s.lockKey(t.Name, t.Places)}, decimal(t.Number), millis(lease), remember.Milliseconds()))
	if err == nil && n == 0 {
		err = store.ErrFenced
	}
	return err
}

// renewAll runs in the background from the first lock on.
func (s *Store) renewAll() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := time.Now().Add(time.Hour)
		for _, l := range s.heldNow() {
			if at, ok := s.renewOne(ctx, l); ok && at.Before(next) {
				next = at
			}
			select {
			case <-s.ended:
				return
			default:
			}
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-s.leases.changed:
		case <-s.ended:
			return
		}
	}
}

func (s *Store) heldNow() []*lease {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	all := make([]*lease, 0, len(s.leases.held))
	for _, l := range s.leases.held {
		all = append(all, l)
	}
	return all
}

// renewOne renews a lease if it is time to, and says when it will be.
func (s *Store) renewOne(ctx context.Context, l *lease) (next time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.gone || !l.until.IsZero() && now.After(l.until) {
		l.gone = true
		s.leases.mu.Lock()
		delete(s.leases.held, l.token)
		s.leases.mu.Unlock()
		return next, false
	}
	if l.next.IsZero() {
		return l.until, true // to forget it
	}
	if now.Before(l.next) {
		return l.next, true
	}
	left := time.Duration(0)
	if !l.until.IsZero() {
		left = max(l.until.Sub(now), time.Millisecond)
	}
	err := s.renewAs(ctx, l.token, s.leaseOf(left))
	switch {
	case errors.Is(err, store.ErrFenced):
		l.gone = true
		s.leases.mu.Lock()
		delete(s.leases.held, l.token)
		s.leases.mu.Unlock()
		return next, false
	case err != nil:
		l.next = time.Now().Add(s.set.lease / 10) // the lease may not be over yet
		return l.next, true
	}
	until := l.until
	s.schedule(l, now, left)
	l.until = until
	if l.next.IsZero() {
		return l.until, true
	}
	return l.next, true
}

// releaseAll gives back what is held. Preconditions: closed, and the goroutine
// has ended.
func (s *Store) releaseAll(ctx context.Context) {
	for _, l := range s.heldNow() {
		_, err := scriptGive.run(ctx, s.send, []string{s.lockKey(l.token.Name, l.token.Places)}, decimal(l.token.Number))
		if errors.Is(err, store.ErrUnavailable) {
			return // the others end with their leases, too
		}
	}
}
