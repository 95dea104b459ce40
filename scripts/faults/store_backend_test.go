//go:build faults

package faults

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "prefork/ipc/redis" // the workers of these tests follow --store redis://
	"prefork/ipc/store"
)

// redisServer is a real one, on a port of its own.
type redisServer struct {
	Port int
	dir  string
	cmd  *exec.Cmd
}

// startRedis starts one, or skips the test; the test's end takes it down.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("missing: redis-server (Debian: redis-server)")
	}
	r := newRedisServer(t)
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

// newRedisServer gives one that is not started a port, which it cannot choose by
// itself, and a folder.
func newRedisServer(t *testing.T) *redisServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{Port: ln.Addr().(*net.TCPAddr).Port, dir: tempDir(t)}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// start starts the process, with every write on disk before it is answered.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	r.cmd = exec.Command("redis-server", "--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOnLastingThread(r.cmd); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "redis-server answers", func() bool {
		c, err := net.Dial("tcp", r.addr())
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = fmt.Fprint(c, "PING\r\n")
		answer := make([]byte, 5)
		if err == nil {
			_, err = c.Read(answer)
		}
		return err == nil && string(answer) == "+PONG"
	})
}

func (r *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port)) }

func (r *redisServer) kill(t *testing.T) {
	t.Helper()
	_ = r.cmd.Process.Kill() // a second time it has gone
	_ = r.cmd.Wait()         // it was killed
}

// Two pools share what a Redis server keeps, and conflicts and locks hold
// between them. The server stopped, killed and started again: every operation
// ends within its bound, and says what is wrong.
func TestTwoPoolsShareARedisServer(t *testing.T) {
	r := startRedis(t)
	const timeout = 500 * time.Millisecond
	url := fmt.Sprintf("redis://%s/0?timeout=%v&lease=1500ms&retry_after=200ms", r.addr(), timeout)
	one, two := startCalled(t, 1, 1, "--store", url), startCalled(t, 1, 1, "--store", url)
	a, b := one.next(t), two.next(t)

	login := a.must(t, storeCall{Verb: "Set", Key: "session/1", Value: []byte("alice"), Write: store.Write{TTL: time.Hour}})
	if got := b.must(t, storeCall{Verb: "Get", Key: "session/1"}); login.Error != "" || !got.Found || string(got.Entry.Value) != "alice" || got.Entry.Version != login.Version {
		t.Fatalf("the other pool sees %+v of %+v\n%s", got, login, two.Err)
	}
	swap := storeCall{Verb: "Set", Key: "session/1", Write: store.Write{If: store.IfVersion, Version: login.Version}}
	swap.Value = []byte("bob")
	if got := b.must(t, swap); got.Error != "" {
		t.Errorf("swap by the second pool: %s", got.Error)
	}
	swap.Value = []byte("carol")
	if got := a.must(t, swap); !got.is(store.ErrConflict) {
		t.Errorf("a swap of the version that the other pool replaced: %+v", got)
	}
	held := a.must(t, storeCall{Verb: "Lock", Key: "task"})
	if got := b.must(t, storeCall{Verb: "Lock", Key: "task"}); !held.Found || got.Found {
		t.Errorf("one lock for two pools: %+v, %+v", held, got)
	}
	// The lease of a killed holder runs out.
	if err := syscall.Kill(a.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := b.must(t, storeCall{Verb: "Lock", Key: "task", Wait: Patience}); !got.Found {
		t.Errorf("the lock of a killed worker of the other pool: %+v", got)
	}
	leased := time.Since(began)
	a = one.next(t)

	// bounded does operations while the server is away: each ends in time, with
	// an error that says why.
	var longest time.Duration
	bounded := func(how string) {
		t.Helper()
		for i := range 6 {
			began := time.Now()
			both := []func() (storeReply, time.Time, error){
				a.begin(storeCall{Verb: "Get", Key: "session/1"}), b.begin(storeCall{Verb: "Get", Key: "session/1"}),
			}
			for _, wait := range both {
				got, at, err := wait()
				took := at.Sub(began)
				longest = max(longest, took)
				if err != nil || !strings.Contains(got.Error, store.ErrUnavailable.Error()) {
					t.Errorf("server %s, operation %d: %q, %v", how, i, got.Error, err)
				}
				if took > timeout+time.Second {
					t.Errorf("server %s, operation %d took %v, of %v", how, i, took, timeout)
				}
			}
		}
	}
	again := func(how string) {
		t.Helper()
		for _, x := range []*caller{a, b} {
			Eventually(t, "the store answers, the server "+how, func() bool {
				got := x.must(t, storeCall{Verb: "Get", Key: "session/1"})
				return got.Error == "" && string(got.Entry.Value) == "bob"
			})
		}
	}
	again("untouched")
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	bounded("stopped")
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	again("continued")
	r.kill(t)
	bounded("killed")
	for _, p := range []*called{one, two} {
		p.Reload(t) // the pools live without it
	}
	r.start(t)
	a, b = one.next(t), two.next(t)
	again("started again")
	Figure(t, "store-redis", "two pools on one redis-server: sessions, conflicts and locks are shared; a killed holder's lock after %v (a lease of 1.5s); server stopped or killed: an answer after %v at most, with a timeout of %v; all of it back after the restart",
		leased.Round(10*time.Millisecond), longest.Round(time.Millisecond), timeout)
}
