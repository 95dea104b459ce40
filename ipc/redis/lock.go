package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"prefork/ipc/store"
)

// errHeld says that a lock, or all places of a semaphore, are held.
var errHeld = errors.New("held")

// Waiting for a lock is asking again and again, at these distances: one
// goroutine of a process asks for one name.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// remember is how long a name's newest number is kept after its last lease.
// The numbers are times, so that forgetting one matters only where the
// server's clock was set back by more than this.
const remember = time.Hour

func (s *Store) lockKey(name string, places int) string {
	if places == 0 {
		return beside(s.set.prefix+name, suffixLock)
	}
	return beside(s.set.prefix+name, suffixPlaces)
}

// Lock implements store.Store.
func (s *Store) Lock(ctx context.Context, name string, ttl time.Duration) (store.Token, error) {
	t, err := s.wait(ctx, name, 0, ttl)
	return t, wrap("lock", name, err)
}

// TryLock implements store.Store.
func (s *Store) TryLock(ctx context.Context, name string, ttl time.Duration) (store.Token, bool, error) {
	t, _, err := s.take(ctx, name, 0, ttl)
	if err == errHeld {
		return store.Token{}, false, nil
	}
	return t, err == nil, wrap("lock", name, err)
}

// Acquire implements store.Store.
func (s *Store) Acquire(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, error) {
	err := placesFit(places)
	var t store.Token
	if err == nil {
		t, err = s.wait(ctx, name, places, ttl)
	}
	return t, wrap("acquire", name, err)
}

// TryAcquire implements store.Store.
func (s *Store) TryAcquire(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, bool, error) {
	if err := placesFit(places); err != nil {
		return store.Token{}, false, wrap("acquire", name, err)
	}
	t, _, err := s.take(ctx, name, places, ttl)
	if err == errHeld {
		return store.Token{}, false, nil
	}
	return t, err == nil, wrap("acquire", name, err)
}

func placesFit(places int) error {
	if places < 1 || places > store.MaxPlaces {
		return fmt.Errorf("%d places (want 1 to %d)", places, store.MaxPlaces)
	}
	return nil
}

// take asks once. errHeld: after so long the first holder's lease ends, unless
// it is renewed.
func (s *Store) take(ctx context.Context, name string, places int, ttl time.Duration) (t store.Token, ends time.Duration, err error) {
	if ttl < 0 {
		return t, 0, fmt.Errorf("ttl of %v (want 0, for none, or more)", ttl)
	}
	if err := fits(name, 0); err != nil {
		return t, 0, err
	}
	asked := time.Now()
	lease := s.leaseOf(ttl)
	reply, err := s.script(ctx, scriptTake, []string{s.lockKey(name, places)}, max(1, places), millis(lease), remember.Milliseconds())
	l, err := list(reply, err, 2)
	if err != nil {
		return t, 0, err
	}
	n, isNumber := l[0].(int64)
	left, isLeft := l[1].(int64)
	switch {
	case !isNumber || !isLeft || n < 0:
		return t, 0, errAnswer
	case n == 0:
		return t, time.Duration(left) * time.Millisecond, errHeld
	}
	t = store.Token{Name: name, Number: uint64(n), Places: places}
	s.keep(t, asked, ttl)
	return t, 0, nil
}

// wait asks until it has one, or the context ends.
func (s *Store) wait(ctx context.Context, name string, places int, ttl time.Duration) (store.Token, error) {
	t, ends, err := s.take(ctx, name, places, ttl)
	if err != errHeld {
		return t, err
	}
	line, err := s.waiting.enter(ctx, s.lockKey(name, places))
	if err != nil {
		return store.Token{}, err
	}
	defer s.waiting.leave(line)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		// A little more or less, so that processes do not ask in step.
		timer.Reset(min(pause/2+rand.N(pause), ends+time.Millisecond))
		select {
		case <-timer.C:
		case <-line.kick:
		case <-ctx.Done():
			return store.Token{}, ctx.Err()
		case <-s.ended:
			return store.Token{}, store.ErrClosed
		}
		if t, ends, err = s.take(ctx, name, places, ttl); err != errHeld {
			return t, err
		}
	}
}

// Unlock implements store.Store.
func (s *Store) Unlock(ctx context.Context, t store.Token) error {
	return wrap("unlock", t.Name, s.give(ctx, t))
}

func (s *Store) give(ctx context.Context, t store.Token) error {
	if err := fits(t.Name, 0); err != nil {
		return err
	}
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// It is not renewed any more, whatever becomes of the command.
	s.drop(t)
	key := s.lockKey(t.Name, t.Places)
	n, err := number(s.script(ctx, scriptGive, []string{key}, decimal(t.Number)))
	if err == nil && n == 0 {
		err = store.ErrFenced
	}
	if err == nil {
		s.waiting.kick(key)
	}
	return err
}

// Renew implements store.Store.
func (s *Store) Renew(ctx context.Context, t store.Token, ttl time.Duration) error {
	err := fits(t.Name, 0)
	switch {
	case err != nil:
	case ttl < 0:
		err = fmt.Errorf("ttl of %v (want 0, for none, or more)", ttl)
	default:
		err = s.renew(ctx, t, ttl)
	}
	return wrap("renew", t.Name, err)
}

// queues has those of this process that wait for a name stand in line.
type queues struct {
	mu  sync.Mutex
	all map[string]*queue
}

type queue struct {
	name  string
	turn  chan struct{} // holds one value while nobody asks
	kick  chan struct{} // holds one after this process gave one back
	users int           // guarded by queues.mu
}

// enter waits for the turn at a name.
func (q *queues) enter(ctx context.Context, name string) (*queue, error) {
	q.mu.Lock()
	if q.all == nil {
		q.all = make(map[string]*queue)
	}
	line := q.all[name]
	if line == nil {
		line = &queue{name: name, turn: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
		line.turn <- struct{}{}
		q.all[name] = line
	}
	line.users++
	q.mu.Unlock()
	select {
	case <-line.turn:
		return line, nil
	case <-ctx.Done():
		q.out(line)
		return nil, ctx.Err()
	}
}

// leave passes the turn on.
func (q *queues) leave(line *queue) {
	line.turn <- struct{}{}
	q.out(line)
}

func (q *queues) out(line *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if line.users--; line.users == 0 {
		delete(q.all, line.name)
	}
}

// kick tells who asks for a name to do so now.
func (q *queues) kick(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if line := q.all[name]; line != nil {
		select {
		case line.kick <- struct{}{}:
		default: // told already
		}
	}
}
