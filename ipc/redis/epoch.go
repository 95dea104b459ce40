package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"prefork/ipc/store"
)

// epochs are the ones that this process has asked for. One goroutine reads
// them all from the server, with one command.
type epochs struct {
	mu      sync.Mutex
	all     map[string]*epoch
	running bool
	turn    uint64 // grows with every value that a Bump or an Epoch brought
}

type epoch struct {
	s     *Store
	name  string
	value atomic.Uint64
	turn  uint64 // epochs.turn when value was written, guarded by epochs.mu
}

// Load implements store.Epoch: one read of this process' memory. What others
// bumped is there after a poll at the latest, or when the server can be
// reached again.
func (e *epoch) Load() uint64 { return e.value.Load() }

// Bump implements store.Epoch. This process sees it at once.
func (e *epoch) Bump(ctx context.Context) error {
	key := e.s.epochsKey()
	n, err := number(e.s.do(ctx, key, "hincrby", key, e.name, 1))
	if err != nil {
		return wrap("bump epoch", e.name, err)
	}
	e.s.epochs.mu.Lock()
	defer e.s.epochs.mu.Unlock()
	e.brought(uint64(n))
	return nil
}

// brought notes a value that the server gave. Of two that are under way at
// once the higher one is the later. Preconditions: epochs.mu is held.
func (e *epoch) brought(n uint64) {
	e.s.epochs.turn++
	e.turn = e.s.epochs.turn
	if n > e.value.Load() {
		e.value.Store(n)
	}
}

func (s *Store) epochsKey() string { return s.set.prefix + nameEpochs }

// Epoch implements store.Store.
func (s *Store) Epoch(ctx context.Context, name string) (store.Epoch, error) {
	err := fits(name, 0)
	var n int64
	if err == nil {
		n, err = number(s.script(ctx, scriptEpoch, []string{s.epochsKey()}, name, store.MaxEpochs))
	}
	if err == nil && n < 0 {
		err = fmt.Errorf("%w: %d names", store.ErrFull, store.MaxEpochs)
	}
	if err != nil {
		return nil, wrap("epoch", name, err)
	}
	s.epochs.mu.Lock()
	defer s.epochs.mu.Unlock()
	e := s.epochs.all[name]
	if e == nil {
		if s.epochs.all == nil {
			s.epochs.all = make(map[string]*epoch)
		}
		e = &epoch{s: s, name: name}
		s.epochs.all[name] = e
	}
	e.brought(uint64(n))
	if !s.epochs.running && !s.closed.Load() {
		s.epochs.running = true
		s.behind.Go(s.pollEpochs)
	}
	return e, nil
}

// pollEpochs runs in the background from the first epoch on.
func (s *Store) pollEpochs() {
	tick := time.NewTicker(s.set.poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.readEpochs(context.Background())
		case <-s.ended:
			return
		}
	}
}

// readEpochs reads all epochs. A fault leaves them as they are: Health has it.
func (s *Store) readEpochs(ctx context.Context) {
	s.epochs.mu.Lock()
	turn := s.epochs.turn
	asked := make([]*epoch, 0, len(s.epochs.all))
	args := append(make([]any, 0, 2+len(s.epochs.all)), "hmget", s.epochsKey())
	for name, e := range s.epochs.all {
		asked = append(asked, e)
		args = append(args, name)
	}
	s.epochs.mu.Unlock()
	reply, err := s.do(ctx, s.epochsKey(), args...)
	l, err := list(reply, err, len(asked))
	if err != nil {
		return
	}
	s.epochs.mu.Lock()
	defer s.epochs.mu.Unlock()
	for i, e := range asked {
		text, _ := l[i].(string) // nil: somebody emptied the server
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			n = 0
		}
		// What was brought meanwhile may be newer. A lower value is taken else:
		// whoever compares sees that something happened, be it a failover.
		if e.turn > turn && n < e.value.Load() {
			continue
		}
		e.value.Store(n)
	}
}
