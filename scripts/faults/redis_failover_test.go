//go:build faults

package faults

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// Two processes, each with connections of its own, write the same sessions on
// one server as two machines would: what they saw is what one after the other
// could have done, and a swap of a version that the other replaced is refused.
func TestHistoriesOverARedisServerAreLinearizable(t *testing.T) {
	const workers, each, keys, locks = 2, 4, 20, 5
	total := Count(t, 20_000)
	url := fmt.Sprintf("redis://%s/0?timeout=10s&lease=1m", startRedis(t).addr())
	p := startCalled(t, workers, each, "--store", url)
	r, clients := recordClients(t, p, keys, locks, workers*each, total)
	clients.Wait()
	if t.Failed() {
		return
	}
	s := openRedis(t, url)
	r.readAll(t, s)
	refused, by := 0, map[int]int{}
	for _, op := range r.ops {
		if op.Output.(opOutput).refused {
			refused++
		}
		by[op.Input.(opInput).pid]++
	}
	Figure(t, "store-redis-histories", "%d operations of %d connections to %d processes on one redis-server, %d refused as conflicts: %s",
		len(r.ops), workers*each, workers, refused, r.judge(t))
	if refused == 0 || r.unknown != 0 || len(by) != workers+1 { // and this process, which reads in the end
		t.Errorf("%d refused, %d with an unknown end, operations by process: %v", refused, r.unknown, by)
	}
	r.wantNoticed(t)
}

func openRedis(t *testing.T, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(background, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A primary is killed under writers, and Sentinel makes the replica the
// primary. What was acknowledged and is not there any more is counted. An
// operation gives an error, or an older value that was acknowledged, and a swap
// of a version that was lost is a conflict.
func TestFailoverLosesWritesAndInventsNone(t *testing.T) {
	for _, c := range []struct {
		name   string
		behind bool // the replica hears nothing more of the primary before it is killed
		guard  bool // the primary refuses writes without a replica that hears it
	}{
		{"in-step", false, false},
		{"behind", true, false},
		{"behind-refusing", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := startReplicated(t)
			f.write(t, 50)
			f.waitInStep(t)
			if c.guard { // from when the primary has heard of the replica within the last second
				f.primary.ask(t, "config", "set", "min-replicas-to-write", "1", "min-replicas-max-lag", "1")
				Eventually(t, "the primary counts on its replica", func() bool {
					return strings.Contains(f.primary.ask(t, "info", "replication"), "min_slaves_good_slaves:1")
				})
			}
			var held store.Token
			if c.behind {
				f.link.silence()
				held = f.lock(t)
			}
			since := time.Now()
			ended := f.writeUntilRefused(t)
			if c.guard {
				ended.Wait() // refused while the primary still lives
				for _, w := range f.writers {
					if !strings.Contains(w.end.Error(), "NOREPLICAS") {
						t.Errorf("a write without a replica: %v", w.end)
					}
				}
			} else {
				Eventually(t, "writes are acknowledged", func() bool {
					for _, w := range f.writers {
						if w.acknowledged.Load() < w.replicated+50 {
							return false
						}
					}
					return true
				})
			}
			wrote := time.Since(since)
			killed := time.Now()
			f.primary.kill(t)
			f.link.close()
			ended.Wait()
			acknowledged, lost := f.judge(t)
			Figure(t, "store-failover-"+c.name, "%d writes acknowledged, the newest within %v without a look at the replica, %d lost with the primary; a new one answered %v after the kill",
				acknowledged, wrote.Round(time.Millisecond), lost, time.Since(killed).Round(time.Millisecond))
			if c.behind {
				if lost == 0 {
					t.Error("the replica heard of nothing, and nothing was lost")
				}
				f.wantFenced(t, held)
			}
		})
	}
}

// replicated is a primary, a replica that follows it over a link, and a
// Sentinel that watches both.
type replicated struct {
	primary, replica *redisServer
	link             *replicaLink
	writers          []*failoverWriter
}

func startReplicated(t *testing.T) *replicated {
	t.Helper()
	f := &replicated{primary: startRedis(t), replica: startRedis(t)}
	f.link = startReplicaLink(t, f.primary.addr())
	f.primary.ask(t, "config", "set", "repl-diskless-sync-delay", "0")
	f.replica.ask(t, "replicaof", "127.0.0.1", strconv.Itoa(f.link.port()))
	Eventually(t, "the replica follows", func() bool {
		return strings.Contains(f.replica.ask(t, "info", "replication"), "master_link_status:up")
	})
	watch := startSentinel(t, f.primary)
	Eventually(t, "Sentinel knows the replica", func() bool {
		return strings.Contains(watch.ask(t, "sentinel", "replicas", "sessions"), strconv.Itoa(f.replica.Port))
	})
	url := "redis+sentinel://" + watch.addr() + "/sessions?timeout=500ms&lease=2s&failures=3&retry_after=100ms"
	for i := range 4 {
		f.writers = append(f.writers, &failoverWriter{key: fmt.Sprintf("session/%d", i), store: openRedis(t, url)})
	}
	return f
}

// startSentinel starts one. It leaves a replica that follows a link alone: it
// would lead it to the primary itself after the time of a failover.
func startSentinel(t *testing.T, primary *redisServer) *redisServer {
	t.Helper()
	s := newRedisServer(t)
	config := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor sessions 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds sessions 500\nsentinel failover-timeout sessions 120000\n", s.Port, s.dir, primary.Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command("redis-server", config, "--sentinel")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOnLastingThread(s.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill(t) })
	Eventually(t, "Sentinel answers", func() bool {
		c, err := net.Dial("tcp", s.addr())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

// ask runs redis-cli and gives what it printed.
func (r *redisServer) ask(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(r.Port)}, args...)...).CombinedOutput()
	if err != nil || strings.HasPrefix(string(out), "ERR") {
		t.Fatalf("redis-cli %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// write has every writer write so many times, one after the other.
func (f *replicated) write(t *testing.T, n int) {
	t.Helper()
	for _, w := range f.writers {
		for range n {
			if w.write(); w.end != nil {
				t.Fatal(w.end)
			}
		}
	}
}

// waitInStep waits until the replica has all that was acknowledged.
func (f *replicated) waitInStep(t *testing.T) {
	t.Helper()
	s := openRedis(t, "redis://"+f.replica.addr())
	for _, w := range f.writers {
		Eventually(t, "the replica is in step", func() bool {
			e, _, err := s.Get(background, w.key)
			n, problem := historyNumber(w.key, e.Value)
			return err == nil && problem == "" && n == w.acknowledged.Load()
		})
		w.replicated = w.acknowledged.Load()
	}
}

// writeUntilRefused has all write at once, each until its first error.
func (f *replicated) writeUntilRefused(t *testing.T) *sync.WaitGroup {
	t.Helper()
	var ended sync.WaitGroup
	for _, w := range f.writers {
		ended.Go(func() {
			for w.end == nil {
				w.write()
			}
			if !errors.Is(w.end, store.ErrUnavailable) {
				t.Errorf("write %s: %v; want ErrUnavailable", w.key, w.end)
			}
		})
	}
	return &ended
}

// lock takes a lock of which the replica does not hear.
func (f *replicated) lock(t *testing.T) store.Token {
	t.Helper()
	token, ok, err := f.writers[0].store.TryLock(background, "task", 0)
	if err != nil || !ok {
		t.Fatalf("lock: %v, %v", ok, err)
	}
	return token
}

// wantFenced checks a lock that was lost with the primary: another one has it
// now, with a higher token, and writes with the old one are refused.
func (f *replicated) wantFenced(t *testing.T, old store.Token) {
	t.Helper()
	token, ok, err := f.writers[1].store.TryLock(background, "task", 0)
	if err != nil || !ok || token.Number <= old.Number {
		t.Errorf("a lock that was lost: %+v after %+v, %v, %v", token, old, ok, err)
	}
	if _, err := f.writers[0].store.Set(background, "task", nil, store.Write{Token: old}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a write with the token of a lock that was lost: %v", err)
	}
}

// judge compares the new primary with the ledgers.
func (f *replicated) judge(t *testing.T) (acknowledged, lost uint64) {
	t.Helper()
	for _, w := range f.writers {
		var e store.Entry
		Eventually(t, "the new primary answers", func() bool {
			var found bool
			var err error
			if e, found, err = w.store.Get(background, w.key); err == nil && !found {
				t.Errorf("%s has gone: the replica had it", w.key)
			}
			if err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("get %s: %v; want ErrUnavailable", w.key, err)
			}
			return err == nil
		})
		n, problem := historyNumber(w.key, e.Value)
		last := w.acknowledged.Load()
		if problem != "" || n < w.replicated || n > w.tried {
			t.Errorf("%s is write %d of %d, %d acknowledged, %d replicated: %s", w.key, n, w.tried, last, w.replicated, problem)
		}
		acknowledged += last
		lost += last - min(n, last)
		if n != last {
			_, err := w.store.Set(background, w.key, nil, store.Write{If: store.IfVersion, Version: w.version})
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s went from write %d to %d; a swap of the version of %d: %v", w.key, last, n, last, err)
			}
		}
		if _, err := w.store.Set(background, w.key, nil, store.Write{If: store.IfVersion, Version: e.Version}); err != nil {
			t.Errorf("a swap of the version that is there: %v", err)
		}
	}
	return acknowledged, lost
}

// failoverWriter writes one session with a client of its own, and keeps the
// ledger of it. Its writes are numbered from 1.
type failoverWriter struct {
	key          string
	store        *redis.Store
	tried        uint64
	acknowledged atomic.Uint64 // number of the last one
	version      uint64        // of that
	replicated   uint64        // number of the last one that the replica had when it was in step
	end          error         // of the first that was not acknowledged
}

func (w *failoverWriter) write() {
	condition := store.Write{}
	if w.version != 0 {
		condition = store.Write{If: store.IfVersion, Version: w.version}
	}
	w.tried++
	version, err := w.store.Set(background, w.key, historyValue(w.key, w.tried), condition)
	if err != nil {
		w.end = err
		return
	}
	w.version = version
	w.acknowledged.Store(w.tried)
}

// replicaLink is the network between a primary and its replica.
type replicaLink struct {
	ln net.Listener
	to string

	mu     sync.Mutex
	silent bool // what is sent over it arrives no more
	closed bool
	conns  []net.Conn
	pumps  sync.WaitGroup
}

func startReplicaLink(t *testing.T, to string) *replicaLink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &replicaLink{ln: ln, to: to}
	l.pumps.Go(l.serve)
	t.Cleanup(l.close)
	return l
}

func (l *replicaLink) port() int { return l.ln.Addr().(*net.TCPAddr).Port }

func (l *replicaLink) serve() {
	for {
		from, err := l.ln.Accept()
		if err != nil {
			return // closed
		}
		to, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		l.mu.Lock()
		if l.closed {
			_, _ = to.Close(), from.Close()
		}
		l.conns = append(l.conns, from, to)
		l.mu.Unlock()
		l.pumps.Go(func() { l.pump(from, to) })
		l.pumps.Go(func() { l.pump(to, from) })
	}
}

// pump carries what comes until either end is closed.
func (l *replicaLink) pump(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		l.mu.Lock()
		if !l.silent && n > 0 {
			if _, failed := to.Write(buffer[:n]); err == nil {
				err = failed
			}
		}
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// silence loses everything from now on, in both directions, as a network that
// is cut does: neither end is told.
func (l *replicaLink) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = true
}

// close ends it; again it does nothing.
func (l *replicaLink) close() {
	_ = l.ln.Close()
	l.mu.Lock()
	l.closed = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.pumps.Wait()
}
