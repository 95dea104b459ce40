package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"

	client "github.com/redis/go-redis/v9"

	"prefork/ipc/store"
)

// A cursor over a cluster holds the server's own cursor in the low 48 bits
// (Redis 8 uses 14 for a slot and as many as the table is long), above it 8
// for the primary and 8 that tell one set of primaries from another.
const (
	cursorBits    = 48
	maxPrimaries  = 256
	maxScanCount  = 1000
	wholeTopology = 8
)

var errReshaped = errors.New("redis: the primaries of the cluster are others than at the beginning of this scan (want a new one)")

// Scan implements store.Store. Over a cluster it goes through one primary after
// the other. Keys that move between them meanwhile may be missed: when the set
// of primaries changed it says so.
func (s *Store) Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error) {
	count = min(max(count, 1), maxScanCount)
	if s.set.mode == cluster {
		keys, next, err = s.scanCluster(ctx, cursor, count)
	} else {
		keys, next, err = s.scanOne(ctx, s.do, cursor, count)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("scan: %w", err)
	}
	return keys, next, nil
}

func (s *Store) scanOne(ctx context.Context, do doer, cursor uint64, count int) ([]string, uint64, error) {
	pattern := globEscape.Replace(s.set.prefix) + "*"
	reply, err := do(ctx, "", "scan", strconv.FormatUint(cursor, 10), "match", pattern, "count", count, "type", "string")
	l, err := list(reply, err, 2)
	if err != nil {
		return nil, 0, err
	}
	text, isText := l[0].(string)
	found, isList := l[1].([]any)
	next, err := strconv.ParseUint(text, 10, 64)
	if !isText || !isList || err != nil {
		return nil, 0, errAnswer
	}
	keys := make([]string, 0, len(found))
	for _, f := range found {
		key, isText := f.(string)
		key, ours := strings.CutPrefix(key, s.set.prefix)
		if !isText || !ours {
			return nil, 0, errAnswer
		}
		keys = append(keys, key)
	}
	return keys, next, nil
}

// primaries gives the primaries of a cluster, in an order that all processes
// see alike.
func (s *Store) primaries(ctx context.Context) ([]*client.Client, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []*client.Client
	within, cancel := context.WithTimeout(ctx, s.set.timeout)
	defer cancel()
	err := s.client.(*client.ClusterClient).ForEachMaster(within, func(_ context.Context, c *client.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		return nil
	})
	if err != nil {
		_, err = s.errorOf(ctx, err)
		return nil, err
	}
	if len(all) > maxPrimaries {
		return nil, fmt.Errorf("%d primaries (max %d)", len(all), maxPrimaries)
	}
	slices.SortFunc(all, func(a, b *client.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return all, nil
}

// doAt gives do for one primary. It passes no breaker, as there is one for
// each range of slots: the timeout bounds it.
func (s *Store) doAt(c *client.Client) doer {
	return func(ctx context.Context, _ string, args ...any) (any, error) {
		within, cancel := context.WithTimeout(ctx, s.set.timeout)
		defer cancel()
		cmd := newCommand(within, args...)
		if _, err := s.errorOf(ctx, c.Process(within, cmd)); err != nil {
			return nil, err
		}
		return cmd.Val(), nil
	}
}

func (s *Store) scanCluster(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	all, err := s.primaries(ctx)
	if err != nil {
		return nil, 0, err
	}
	h := fnv.New64a()
	for _, c := range all {
		_, _ = h.Write([]byte(c.Options().Addr + "\n")) // never fails
	}
	topology := h.Sum64() >> (64 - wholeTopology)
	at := int(cursor >> cursorBits & (maxPrimaries - 1))
	if cursor != 0 && (cursor>>(cursorBits+8) != topology || at >= len(all)) {
		return nil, 0, errReshaped
	}
	keys, next, err := s.scanOne(ctx, s.doAt(all[at]), cursor&(1<<cursorBits-1), count)
	switch {
	case err != nil:
		return nil, 0, err
	case next >= 1<<cursorBits:
		return nil, 0, fmt.Errorf("cursor %d of a server (max %d bits)", next, cursorBits)
	case next == 0:
		if at++; at == len(all) {
			return keys, 0, nil
		}
	}
	return keys, topology<<(cursorBits+8) | uint64(at)<<cursorBits | next, nil
}
