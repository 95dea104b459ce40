//go:build unix

package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// startCluster starts three primaries that share the slots.
func startCluster(t testing.TB) (nodes [3]*server, url string) {
	t.Helper()
	addrs := make([]string, 3)
	for i := range nodes {
		nodes[i] = startServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
		addrs[i] = nodes[i].addr()
	}
	for i, n := range nodes {
		n.cli("cluster", "set-config-epoch", fmt.Sprint(i+1))
		n.cli("cluster", "addslotsrange", fmt.Sprint(i*5461), fmt.Sprint([]int{5460, 10921, 16383}[i]))
		if i > 0 {
			nodes[0].cli("cluster", "meet", "127.0.0.1", fmt.Sprint(n.port))
		}
	}
	for _, n := range nodes {
		until(t, "the cluster is whole", func() bool {
			return strings.Contains(n.cli("cluster", "info"), "cluster_state:ok") && strings.Count(n.cli("cluster", "nodes"), "connected") == 3 &&
				strings.Contains(n.cli("cluster", "info"), "cluster_slots_assigned:16384")
		})
	}
	return nodes, "redis+cluster://" + strings.Join(addrs, ",")
}

func TestClusterKeepsTheContract(t *testing.T) {
	nodes, url := startCluster(t)
	empty := func() {
		for _, n := range nodes {
			n.empty()
		}
	}
	t.Run("Spread", func(t *testing.T) { contract(t, url+"?poll=20ms", empty) })
	t.Run("OneSlot", func(t *testing.T) { contract(t, url+"?poll=20ms&prefix={app}", empty) })
	empty()
	t.Run("Scan", func(t *testing.T) { scanCluster(t, open(t, url), nodes) })
	t.Run("Slots", func(t *testing.T) { crossSlot(t, open(t, url), open(t, url+"?prefix={app}")) })
	t.Run("Mode", func(t *testing.T) {
		if _, err := redis.Open(ctx, nodes[0].url()); err == nil || !strings.Contains(err.Error(), "want redis+cluster://") {
			t.Errorf("a node of a cluster as a single server: %v", err)
		}
	})
	t.Run("NodeKilled", func(t *testing.T) { nodeKilled(t, url, nodes) })
}

func TestSingleServerIsNoCluster(t *testing.T) {
	s := startServer(t)
	_, err := redis.Open(ctx, "redis+cluster://"+s.addr())
	if err == nil || !strings.Contains(err.Error(), "no cluster (want redis://)") {
		t.Fatalf("%v", err)
	}
}

func scanCluster(t *testing.T, s *redis.Store, nodes [3]*server) {
	want := make(map[string]bool)
	for i := range 200 {
		key := fmt.Sprint("key", i)
		_, err := s.Set(ctx, key, nil, store.Write{})
		must(t, err)
		want[key] = true
	}
	for i, n := range nodes {
		if n.cli("dbsize") == "0" {
			t.Errorf("node %d has no key", i)
		}
	}
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		keys, next, err := s.Scan(ctx, cursor, 10)
		must(t, err)
		for _, k := range keys {
			delete(want, k)
		}
		cursor = next
	}
	if len(want) > 0 {
		t.Fatalf("%d keys were not given", len(want))
	}
	st, err := s.Stats(ctx)
	must(t, err)
	if st.Entries != 200 {
		t.Fatalf("%d entries", st.Entries)
	}
	if _, _, err := s.Scan(ctx, 1<<63|5, 10); err == nil {
		t.Error("a cursor of another cluster was taken")
	}
}

// crossSlot: a token and a key that one script cannot both see.
func crossSlot(t *testing.T, spread, tagged *redis.Store) {
	lock, _, err := spread.TryLock(ctx, "l", 0)
	must(t, err)
	_, err = spread.Set(ctx, "k", nil, store.Write{Token: lock})
	if err == nil || !strings.Contains(err.Error(), "different slots") || !strings.Contains(err.Error(), "prefix={tag}") {
		t.Errorf("%v", err)
	}
	mine, _, err := spread.TryLock(ctx, "{u7}lock", 0)
	must(t, err)
	if _, err := spread.Set(ctx, "session/{u7}", nil, store.Write{Token: mine}); err != nil {
		t.Errorf("with one tag: %v", err)
	}
	lock, _, err = tagged.TryLock(ctx, "l", 0)
	must(t, err)
	if _, err := tagged.Set(ctx, "k", nil, store.Write{Token: lock}); err != nil {
		t.Errorf("with a tag in the prefix: %v", err)
	}
}

// nodeKilled: what one primary has cannot be reached, the rest can.
func nodeKilled(t *testing.T, url string, nodes [3]*server) {
	s := open(t, url+"?timeout=500ms&retry_after=50ms")
	works := func(key string) bool {
		_, err := s.Set(ctx, key, nil, store.Write{})
		return err == nil
	}
	// Slots: bar 5061, foo 12182, hello 866 (CLUSTER KEYSLOT).
	keys := []string{"bar", "key:{2}", "foo"}
	for _, k := range keys {
		if !works(k) {
			t.Fatalf("%q cannot be written", k)
		}
	}
	nodes[2].signal(syscall.SIGSTOP)
	for range 20 {
		start := time.Now()
		_, err := s.Set(ctx, "foo", nil, store.Write{})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
		if took := time.Since(start); took > 500*time.Millisecond+slack {
			t.Errorf("took %v", took)
		}
	}
	if h := s.Health(); h.State != redis.StateOpen {
		t.Errorf("%+v", h)
	}
	if !works("bar") {
		t.Error("a key of another primary cannot be written")
	}
	nodes[2].signal(syscall.SIGCONT)
	until(t, "the primary is reached again", func() bool { return works("foo") })
}
