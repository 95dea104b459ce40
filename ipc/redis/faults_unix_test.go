//go:build unix

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// slack is what a loaded machine may add to a timeout.
const slack = 2 * time.Second

const quick = "?timeout=500ms&lease=2s&failures=3&retry_after=100ms"

func TestServerThatIsNotThereIsNoErrorOfOpen(t *testing.T) {
	s := open(t, fmt.Sprintf("redis://127.0.0.1:%d%s", freePort(t), quick))
	_, _, err := s.Get(ctx, "k")
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:") || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("%v", err)
	}
}

// each runs every operation once and gives what was not ErrUnavailable.
func each(s *redis.Store, e store.Epoch) (wrong []string) {
	token := store.Token{Name: "l", Number: 1}
	for name, run := range map[string]func() error{
		"get":     func() error { _, _, err := s.Get(ctx, "k"); return err },
		"set":     func() error { _, err := s.Set(ctx, "k", nil, store.Write{}); return err },
		"swap":    func() error { _, err := s.Set(ctx, "k", nil, store.Write{If: store.IfVersion, Version: 1}); return err },
		"delete":  func() error { _, err := s.Delete(ctx, "k", 0); return err },
		"touch":   func() error { _, err := s.Touch(ctx, "k", time.Hour); return err },
		"add":     func() error { _, err := s.Add(ctx, "n", 1); return err },
		"scan":    func() error { _, _, err := s.Scan(ctx, 0, 10); return err },
		"stats":   func() error { _, err := s.Stats(ctx); return err },
		"lock":    func() error { _, err := s.Lock(ctx, "l", 0); return err },
		"acquire": func() error { _, _, err := s.TryAcquire(ctx, "l", 2, 0); return err },
		"unlock":  func() error { return s.Unlock(ctx, token) },
		"renew":   func() error { return s.Renew(ctx, token, 0) },
		"epoch":   func() error { _, err := s.Epoch(ctx, "e2"); return err },
		"bump":    func() error { return e.Bump(ctx) },
	} {
		if err := run(); !errors.Is(err, store.ErrUnavailable) {
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return wrong
}

func TestKilledStoppedAndRestartedServerIsWaitedForNoLongerThanTheTimeout(t *testing.T) {
	for _, c := range []struct {
		name         string
		fell, mended func(*server)
	}{
		{"Killed", (*server).kill, (*server).start},
		{"Stopped", func(s *server) { s.signal(syscall.SIGSTOP) }, func(s *server) { s.signal(syscall.SIGCONT) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := startServer(t)
			s := open(t, server.url()+quick)
			e, err := s.Epoch(ctx, "e")
			must(t, err)
			_, err = s.Set(ctx, "k", []byte("v"), store.Write{})
			must(t, err)
			before := runtime.NumGoroutine()
			c.fell(server)
			start := time.Now()
			for _, w := range each(s, e) {
				t.Error(w)
			}
			// 3 failures open the breaker; each further one waits for its own
			// retry_after.
			if took := time.Since(start); took > 14*500*time.Millisecond+slack {
				t.Errorf("14 operations took %v", took)
			}
			crowd(t, s)
			if n := runtime.NumGoroutine(); n > before+50 {
				t.Errorf("%d goroutines, %d before", n, before)
			}
			if h := s.Health(); h.State == redis.StateClosed || h.Err == nil || h.Refused == 0 || h.Server != server.addr() || h.Since.IsZero() {
				t.Errorf("%+v", h)
			}
			c.mended(server)
			until(t, "the server is reached again", func() bool {
				_, err := s.Set(ctx, "k", []byte("w"), store.Write{})
				return err == nil
			})
			if h := s.Health(); h.State != redis.StateClosed || h.Err != nil {
				t.Errorf("%+v", h)
			}
			must(t, e.Bump(ctx))
		})
	}
}

// crowd has 500 requests at once ask a server that does not answer.
func crowd(t *testing.T, s *redis.Store) {
	t.Helper()
	var all sync.WaitGroup
	start := time.Now()
	for range 500 {
		all.Go(func() {
			within, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if _, _, err := s.Get(within, "k"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took > 500*time.Millisecond+slack {
		t.Errorf("500 requests at once took %v", took)
	}
}

// Connections that lie in the pool when the server is restarted cost no
// operation: they are looked at first.
func TestRestartBetweenOperationsIsNotSeen(t *testing.T) {
	server := startServer(t)
	s := open(t, server.url())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _, _ = s.Get(ctx, "k") })
	}
	all.Wait()
	server.kill()
	server.start()
	for i := range 20 {
		if _, _, err := s.Get(ctx, "k"); err != nil {
			t.Fatalf("operation %d: %v", i, err)
		}
	}
}

// A short deadline of the caller's is kept, and opens the breaker when it was
// long enough to tell something.
func TestDeadlineOfTheCallerIsKept(t *testing.T) {
	server := startServer(t)
	s := open(t, server.url()+"?timeout=3s&failures=3&retry_after=10s")
	server.signal(syscall.SIGSTOP)
	defer server.signal(syscall.SIGCONT)
	for range 4 {
		within, cancel := context.WithTimeout(ctx, time.Second)
		start := time.Now()
		_, _, err := s.Get(within, "k")
		cancel()
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
		if took := time.Since(start); took > time.Second+slack {
			t.Errorf("took %v", took)
		}
	}
	if h := s.Health(); h.State != redis.StateOpen {
		t.Errorf("%+v", h)
	}
	_, _, err := s.Get(ctx, "k")
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "not asked again yet") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A lock without a ttl is renewed while its holder lives, and is free a lease
// after it is gone.
func TestLockIsRenewedWhileItsHolderLives(t *testing.T) {
	server := startServer(t)
	url := server.url() + "?timeout=300ms&lease=900ms"
	holder, other := open(t, url), open(t, url)
	forever, _, err := holder.TryLock(ctx, "forever", 0)
	must(t, err)
	long, _, err := holder.TryLock(ctx, "long", time.Hour)
	must(t, err)
	place, _, err := holder.TryAcquire(ctx, "places", 1, 2400*time.Millisecond)
	must(t, err)
	// Two leases go by; the place's own ttl ends it.
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := other.Acquire(within, "places", 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := holder.Unlock(ctx, place); !errors.Is(err, store.ErrFenced) {
		t.Errorf("%v", err)
	}
	for _, l := range []store.Token{forever, long} {
		if _, ok, err := other.TryLock(ctx, l.Name, 0); ok || err != nil {
			t.Fatalf("%s: %v, %v", l.Name, ok, err)
		}
		_, err := holder.Set(ctx, "k", nil, store.Write{Token: l})
		must(t, err)
	}
	// A server that is restarted has forgotten the locks: the holder is told.
	server.kill()
	server.start()
	until(t, "the server answers", func() bool {
		return errors.Is(holder.Unlock(ctx, forever), store.ErrFenced)
	})
	if _, err := holder.Set(ctx, "k", nil, store.Write{Token: long}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("%v", err)
	}
}

func TestForeignTypesAndValuesAreErrorsThatSaySo(t *testing.T) {
	server := startServer(t)
	s := open(t, server.url())
	server.cli("lpush", "list", "x")
	if _, _, err := s.Get(ctx, "list"); err == nil || !strings.Contains(err.Error(), "another type") {
		t.Errorf("%v", err)
	}
	if _, err := s.Add(ctx, "list", 1); !errors.Is(err, store.ErrNotNumber) {
		t.Errorf("%v", err)
	}
	server.cli("eval", "return redis.call('set', 'large', string.rep('x', 3000000))", "0")
	if _, _, err := s.Get(ctx, "large"); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if _, _, err := s.Get(ctx, "k"); err != nil {
		t.Errorf("after that: %v", err)
	}
	// What another program wrote has a version, and a write of another program
	// changes it.
	server.cli("set", "php", "a|i:1;", "ex", "100")
	e, found, err := s.Get(ctx, "php")
	if err != nil || !found || string(e.Value) != "a|i:1;" || e.TTL <= 0 || e.TTL > 100*time.Second {
		t.Fatalf("%+v, %v, %v", e, found, err)
	}
	server.cli("set", "php", "a|i:2;")
	if _, err := s.Set(ctx, "php", nil, store.Write{If: store.IfVersion, Version: e.Version}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("%v", err)
	}
}

func TestFullServerIsErrFull(t *testing.T) {
	server := startServer(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	s := open(t, server.url())
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		_, err = s.Set(ctx, fmt.Sprint(i), make([]byte, 100000), store.Write{})
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("%v", err)
	}
	if _, err := s.Set(ctx, "0", make([]byte, 100000), store.Write{If: store.IfVersion, Version: 1}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("by script: %v", err)
	}
	if _, found, err := s.Get(ctx, "0"); err != nil || !found {
		t.Errorf("reads go on: %v, %v", found, err)
	}
	if h := s.Health(); h.State != redis.StateClosed {
		t.Errorf("%+v", h)
	}
}

func TestEpochFollowsAServerThatWasEmptied(t *testing.T) {
	server := startServer(t)
	s := open(t, server.url()+"?poll=20ms")
	e, err := s.Epoch(ctx, "e")
	must(t, err)
	for range 5 {
		must(t, e.Bump(ctx))
	}
	server.cli("flushall")
	until(t, "the epoch is 0", func() bool { return e.Load() == 0 })
	server.cli("hincrby", "prefork-epochs", "e", "3")
	until(t, "the epoch is 3", func() bool { return e.Load() == 3 })
}

func TestCloseEndsEverything(t *testing.T) {
	server := startServer(t)
	before := runtime.NumGoroutine()
	s, err := redis.Open(ctx, server.url())
	must(t, err)
	_, err = s.Epoch(ctx, "e")
	must(t, err)
	_, _, err = s.TryLock(ctx, "l", 0)
	must(t, err)
	waits := make(chan error, 1)
	go func() {
		_, err := s.Lock(ctx, "l", 0)
		waits <- err
	}()
	must(t, s.Close())
	if err := <-waits; !errors.Is(err, store.ErrClosed) {
		t.Errorf("%v", err)
	}
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	until(t, "the connections are closed", func() bool {
		return strings.Count(server.cli("client", "list"), " addr=") == 1 // redis-cli itself
	})
	must(t, s.Close())
}

func TestDialFollowsTheScheme(t *testing.T) {
	server := startServer(t)
	for _, url := range []string{server.url(), "valkey://" + server.addr(), "unix://" + server.socket} {
		s, err := store.Dial(ctx, url)
		must(t, err)
		_, err = s.Add(ctx, "n", 1)
		must(t, err)
		must(t, s.Close())
	}
	if n := server.cli("get", "n"); n != "3" {
		t.Errorf("%s", n)
	}
	for _, url := range []string{"64MiB", "memcached://user:secret@h", "redis://user:secret@h:x"} {
		s, err := store.Dial(ctx, url)
		if err == nil || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
