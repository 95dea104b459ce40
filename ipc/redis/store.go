package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/redis/go-redis/v9"

	"prefork/ipc/store"
)

// Store is one process' view of a store in Redis.
type Store struct {
	set    *settings
	server string // whom errors name
	client client.UniversalClient

	// One for a single server. In a cluster one for each range of slots, so
	// that a server that is gone does not close the way to the others.
	breakers []breaker

	conflicts, full atomic.Int64

	leases  leases
	waiting queues
	epochs  epochs

	closed atomic.Bool
	ended  chan struct{}  // closed by Close
	behind sync.WaitGroup // what runs in the background
}

var _ store.Store = (*Store)(nil)

func init() {
	for scheme := range schemes {
		store.Register(scheme, func(ctx context.Context, url string) (store.Store, error) {
			s, err := Open(ctx, url)
			if err != nil {
				return nil, err
			}
			return s, nil
		})
	}
}

// Open opens the store that a URL names. A server that does not answer is no
// error: operations say ErrUnavailable until it does. What will not go away by
// itself is one: a mistake in the URL or its files, a certificate that does not
// fit, a wrong password, a cluster where none was meant or the reverse.
//
// The client's library writes a log of its own to stderr. Open switches it off
// for the whole process: every fault comes back as an error, and Health keeps
// the newest.
func Open(ctx context.Context, url string) (*Store, error) {
	set, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("open redis store: %w", err)
	}
	secure, err := set.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("open redis store: %w", err)
	}
	client.SetLogger(silence{})
	s := &Store{set: set, server: set.server(), client: set.newClient(secure), ended: make(chan struct{})}
	n := 1
	if set.mode == cluster {
		n = 16
	}
	s.breakers = make([]breaker, n)
	for i := range s.breakers {
		s.breakers[i].limit, s.breakers[i].wait = set.failures, set.retryAfter
	}
	if err := s.greet(ctx); err != nil && lasting(err) {
		_ = s.client.Close() // the error says what is wrong
		return nil, fmt.Errorf("open redis store: %w", err)
	}
	return s, nil
}

// silence is a log that nobody reads.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// greet looks who answers, and whether it runs scripts: a pool's own socket
// speaks the protocol and has none.
func (s *Store) greet(ctx context.Context) error {
	reply, err := s.do(ctx, "", "info")
	if err != nil {
		return err
	}
	text, _ := reply.(string)
	if isCluster := strings.Contains(text, "cluster_enabled:1"); isCluster && s.set.mode != cluster {
		return fmt.Errorf("%w: %s", errIsCluster, s.server)
	}
	_, _, err = s.get(ctx, "")
	var answer client.Error
	if errors.As(err, &answer) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrFull) && !errors.Is(err, errForeign) {
		return fmt.Errorf("%w: %w", errNoScripts, err)
	}
	return err
}

// do sends one command about a key and gives its answer, nil for Redis' nil.
func (s *Store) do(ctx context.Context, key string, args ...any) (any, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.send(ctx, key, args...)
}

// send is do for Close, too.
func (s *Store) send(ctx context.Context, key string, args ...any) (any, error) {
	b := &s.breakers[0]
	if len(s.breakers) > 1 {
		b = &s.breakers[slotOf(key)*len(s.breakers)/slots]
	}
	probe, last := b.allow()
	if last != nil {
		// Its text alone: it may be about the deadline of another caller.
		text := strings.TrimPrefix(last.Error(), store.ErrUnavailable.Error()+": ")
		return nil, fmt.Errorf("%w: not asked again yet: %s", store.ErrUnavailable, text)
	}
	asked := time.Now()
	within, cancel := context.WithTimeout(ctx, s.set.timeout)
	defer cancel()
	cmd := newCommand(within, args...)
	says, err := s.errorOf(ctx, s.client.Process(within, cmd))
	if errors.Is(err, context.DeadlineExceeded) && time.Since(asked) > s.set.timeout/4 {
		says = failed // callers with short deadlines must open the breaker, too
	}
	b.done(probe, says, err)
	if says == failed {
		s.afterFailure()
	}
	switch {
	case err == client.Nil:
		return nil, nil
	case err != nil:
		if errors.Is(err, store.ErrFull) {
			s.full.Add(1)
		}
		return nil, err
	}
	return cmd.Val(), nil
}

// afterFailure has the library look who is in the cluster now: after a
// failover nobody says MOVED as long as the old primary is silent.
func (s *Store) afterFailure() {
	if c, ok := s.client.(*client.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// script runs a script.
func (s *Store) script(ctx context.Context, sc *script, keys []string, args ...any) (any, error) {
	return sc.run(ctx, s.do, keys, args...)
}

// doer is do, or another way to send a command.
type doer func(ctx context.Context, key string, args ...any) (any, error)

// run runs a script by its hash, by its text where the server does not have it
// yet: it forgets them when it is restarted.
func (sc *script) run(ctx context.Context, do doer, keys []string, args ...any) (any, error) {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", sc.hash, strconv.Itoa(len(keys)))
	for _, k := range keys {
		all = append(all, k)
	}
	all = append(all, args...)
	reply, err := do(ctx, keys[0], all...)
	if err != nil && client.HasErrorPrefix(err, "NOSCRIPT") {
		all[0], all[1] = "eval", sc.text
		reply, err = do(ctx, keys[0], all...)
	}
	return reply, err
}

// errAnswer is an answer that no Redis gives.
var errAnswer = errors.New("redis: answer of another kind than the command has")

// number reads an answer that is an integer.
func number(reply any, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n, ok := reply.(int64)
	if !ok {
		return 0, fmt.Errorf("%w: %T", errAnswer, reply)
	}
	return n, nil
}

// list reads an answer that is an array of n elements.
func list(reply any, err error, n int) ([]any, error) {
	if err != nil {
		return nil, err
	}
	l, ok := reply.([]any)
	if !ok || len(l) != n {
		return nil, fmt.Errorf("%w: %T of %d", errAnswer, reply, len(l))
	}
	return l, nil
}

// Health says how the server did lately. Of a cluster it is the worst part,
// and what was counted in all.
func (s *Store) Health() Health {
	var worst Health
	var failed, refused uint64
	for i := range s.breakers {
		h := s.breakers[i].health()
		failed, refused = failed+h.Failed, refused+h.Refused
		if i == 0 || h.State > worst.State || h.State == worst.State && h.ErrAt.After(worst.ErrAt) {
			worst = h
		}
	}
	worst.Server, worst.Failed, worst.Refused = s.server, failed, refused
	return worst
}

// Close implements store.Store. It gives back what this process holds, within
// the timeout; what it cannot give back ends with its lease.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	// Whoever starts something in the background has looked at closed under one
	// of these.
	s.leases.mu.Lock()
	s.epochs.mu.Lock()
	close(s.ended)
	s.epochs.mu.Unlock()
	s.leases.mu.Unlock()
	s.behind.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.set.timeout)
	defer cancel()
	s.releaseAll(ctx)
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("close redis store: %w", err)
	}
	return nil
}
