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
	wakes   time.Time     // when the goroutine looks next; zero: it is looking
	changed chan struct{} // holds one value when it must look earlier
}

// add notes one. Preconditions: leases.mu is held.
func (s *Store) add(l *lease, due time.Time) {
	h := &s.leases
	if h.held == nil {
		h.held = make(map[store.Token]*lease)
		h.changed = make(chan struct{}, 1)
	}
	h.held[l.token] = l
	if !h.running && !s.closed.Load() {
		h.running = true
		s.behind.Go(s.renewAll)
	}
	if h.wakes.IsZero() || due.Before(h.wakes) {
		select {
		case h.changed <- struct{}{}:
		default: // it will look
		}
	}
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

// due says when the goroutine must look at a lease: to renew it, or to forget
// it. The zero time: never. Preconditions: l.mu is held, or nobody else has l.
func (l *lease) due() time.Time {
	if l.next.IsZero() {
		return l.until
	}
	return l.next
}

// keep notes a lock that was taken.
func (s *Store) keep(t store.Token, asked time.Time, ttl time.Duration) {
	l := &lease{token: t}
	s.schedule(l, asked, ttl)
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	s.add(l, l.due())
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
	gone, due := l.gone, l.due()
	l.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrFenced):
		s.drop(t)
	case err == nil && !gone:
		s.leases.mu.Lock()
		s.add(l, due)
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

// renewAll runs in the background from the first lock on. It looks at all
// leases at once, at most ten times in a lease: each is renewed at a third of
// it, so that one look too late is early enough.
func (s *Store) renewAll() {
	ctx := context.Background()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := time.Now().Add(time.Hour)
		for _, l := range s.heldNow() {
			select {
			case <-s.ended:
				return
			default:
			}
			if at := s.renewOne(ctx, l); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		pause := max(time.Until(next), s.set.lease/10)
		s.leases.mu.Lock()
		s.leases.wakes = time.Now().Add(pause)
		s.leases.mu.Unlock()
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-s.leases.changed:
		case <-s.ended:
			return
		}
	}
}

// heldNow gives what is held, and says that it is being looked at: what comes
// later asks for another look.
func (s *Store) heldNow() []*lease {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	s.leases.wakes = time.Time{}
	all := make([]*lease, 0, len(s.leases.held))
	for _, l := range s.leases.held {
		all = append(all, l)
	}
	return all
}

// renewOne renews a lease if it is time to, and says when to look at it again,
// the zero time for never.
func (s *Store) renewOne(ctx context.Context, l *lease) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.gone:
		return time.Time{}
	case !l.until.IsZero() && now.After(l.until):
		return s.forget(l)
	case l.next.IsZero() || now.Before(l.next):
		return l.due()
	}
	left := time.Duration(0)
	if !l.until.IsZero() {
		left = max(l.until.Sub(now), time.Millisecond)
	}
	err := s.renewAs(ctx, l.token, s.leaseOf(left))
	switch {
	case errors.Is(err, store.ErrFenced):
		return s.forget(l)
	case err != nil:
		l.next = time.Now().Add(s.set.lease / 10) // the lease may not be over yet
	default:
		until := l.until
		s.schedule(l, now, left)
		l.until = until
	}
	return l.due()
}

// forget drops a lease that is over. Preconditions: l.mu is held.
func (s *Store) forget(l *lease) time.Time {
	l.gone = true
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	delete(s.leases.held, l.token)
	return time.Time{}
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
