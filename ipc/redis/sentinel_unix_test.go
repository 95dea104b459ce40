//go:build unix

package redis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// startSentinel starts a Sentinel that watches a primary.
func startSentinel(t testing.TB, primary *server) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), port: freePort(t)}
	config := filepath.Join(s.dir, "sentinel.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `port %d
bind 127.0.0.1
dir %s
sentinel monitor sessions 127.0.0.1 %d 1
sentinel down-after-milliseconds sessions 500
sentinel failover-timeout sessions 1000
`, s.port, s.dir, primary.port), 0o600))
	t.Cleanup(s.kill)
	s.began(s.run(program(t, "redis-server"), "+monitor master", config, "--sentinel"))
	return s
}

func TestSentinelLeadsToTheNewPrimary(t *testing.T) {
	primary := startServer(t, "--repl-diskless-sync-delay", "0")
	replica := startServer(t, "--replicaof", "127.0.0.1", fmt.Sprint(primary.port))
	watch := startSentinel(t, primary)
	until(t, "the replica is known and in step", func() bool {
		return strings.Contains(replica.cli("info", "replication"), "master_link_status:up") &&
			strings.Contains(watch.cli("sentinel", "replicas", "sessions"), fmt.Sprint(replica.port))
	})
	s := open(t, "redis+sentinel://"+watch.addr()+"/sessions?timeout=500ms&lease=2s&failures=3&retry_after=100ms")
	version, err := s.Set(ctx, "k", []byte("v"), store.Write{})
	must(t, err)
	if h := s.Health(); h.Server != "sessions behind sentinel "+watch.addr() {
		t.Errorf("%+v", h)
	}
	until(t, "the replica has it", func() bool { return replica.cli("get", "k") == "v" })
	before, _, err := s.TryLock(ctx, "l", 0)
	must(t, err)
	primary.kill()
	until(t, "the replica is the primary", func() bool {
		_, err := s.Set(ctx, "k", []byte("w"), store.Write{If: store.IfVersion, Version: version})
		return err == nil
	})
	if v := replica.cli("get", "k"); v != "w" {
		t.Errorf("%q", v)
	}
	// Whether the lock came along or was lost: a later token is higher.
	_ = s.Unlock(ctx, before) // fenced, where it was lost
	after, ok, err := s.TryLock(ctx, "l", 0)
	if !ok || err != nil || after.Number <= before.Number {
		t.Errorf("%+v after %+v: %v, %v", after, before, ok, err)
	}
}

func TestSentinelThatDoesNotKnowTheName(t *testing.T) {
	watch := startSentinel(t, startServer(t))
	s, err := redis.Open(ctx, "redis+sentinel://"+watch.addr()+"/nobody?timeout=300ms&lease=2s")
	must(t, err) // it may learn of it
	defer func() { _ = s.Close() }()
	if _, _, err := s.Get(ctx, "k"); err == nil || !strings.Contains(err.Error(), "nobody behind sentinel "+watch.addr()) {
		t.Errorf("%v", err)
	}
}
