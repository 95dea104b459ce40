//go:build faults

package faults

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/worker"
)

// storeCall is one operation of store.Store that a test asks a worker for.
type storeCall struct {
	Verb    string // the method's name
	Key     string
	Value   []byte
	Write   store.Write
	Version uint64
	TTL     time.Duration
	Places  int
	Token   store.Token
	Wait    time.Duration // of Lock and Acquire; 0: they do not wait
}

// storeReply is what came of it.
type storeReply struct {
	Entry   store.Entry
	Found   bool // of Get, Delete and Touch; taken, of a lock
	Version uint64
	Sum     int64
	Token   store.Token
	Error   string // "" none; the text of a sentinel, or another text
}

// sentinels are the errors that a test compares.
var sentinels = []error{store.ErrConflict, store.ErrFenced, store.ErrBusy, store.ErrFull, store.ErrCorrupt}

func (r storeReply) is(err error) bool { return r.Error == err.Error() }

func (c storeCall) do(s store.Store) (r storeReply) {
	ctx, cancel := context.WithTimeout(background, max(c.Wait, Patience))
	defer cancel()
	var err error
	switch c.Verb {
	case "Get":
		r.Entry, r.Found, err = s.Get(ctx, c.Key)
	case "Set":
		r.Version, err = s.Set(ctx, c.Key, c.Value, c.Write)
	case "Delete":
		r.Found, err = s.Delete(ctx, c.Key, c.Version)
	case "Add":
		r.Sum, err = s.Add(ctx, c.Key, 1)
	case "Lock":
		if c.Wait > 0 {
			r.Token, err = s.Lock(ctx, c.Key, c.TTL)
			r.Found = err == nil
		} else {
			r.Token, r.Found, err = s.TryLock(ctx, c.Key, c.TTL)
		}
	case "Acquire":
		if c.Wait > 0 {
			r.Token, err = s.Acquire(ctx, c.Key, c.Places, c.TTL)
			r.Found = err == nil
		} else {
			r.Token, r.Found, err = s.TryAcquire(ctx, c.Key, c.Places, c.TTL)
		}
	case "Run": // a program, with the store's path and Key as arguments
		r.Entry.Value, err = c.runProgram()
	case "Fill":
		err = c.fill(s)
	case "Unlock":
		err = s.Unlock(ctx, c.Token)
	default:
		err = fmt.Errorf("no such verb: %s", c.Verb)
	}
	if err != nil {
		r.Error = err.Error()
		for _, known := range sentinels {
			if errors.Is(err, known) {
				r.Error = known.Error()
			}
		}
	}
	return r
}

// The role "called SOCKET CONNECTIONS" connects to the test and does the calls
// that come, one after the other on each connection.
var _ = Role("called", func(args []string) {
	serveRole("called", func(w *worker.Worker) error {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		for range n {
			conn, err := net.Dial("unix", args[0])
			if err != nil {
				return err
			}
			go answerCalls(conn, func(c storeCall) (storeReply, error) { return c.do(w.Store()), nil })
		}
		if err := w.Ready(); err != nil {
			return err
		}
		return w.Wait()
	})
})

// answerCalls says who it is and does what comes on a connection, until it ends
// or something cannot be done.
func answerCalls[Call, Reply any](conn net.Conn, do func(Call) (Reply, error)) {
	out, in := gob.NewEncoder(conn), gob.NewDecoder(conn)
	err := out.Encode(os.Getpid())
	for err == nil {
		var c Call
		var r Reply
		if err = in.Decode(&c); err == nil {
			r, err = do(c)
		}
		if err == nil {
			err = out.Encode(r)
		}
	}
	if !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "answer calls:", err)
	}
	_ = conn.Close()
}

// called is a pool of workers that connect to the test and do what it says.
type called struct {
	*Pool
	Listener *net.UnixListener
	single   map[int][]*caller // connections of twoOf's that lack the other, by pid
}

// startCalled starts a pool whose workers connect to the test, so many times
// each.
func startCalled(t testing.TB, workers, each int, flags ...string) *called {
	t.Helper()
	o := Options{Flags: append([]string{"-w", strconv.Itoa(workers), "--drain-timeout", "1s"}, flags...)}
	return startCalledAt(t, o, "called", strconv.Itoa(each))
}

// startCalledAt starts a pool of a role that connects to its first argument.
func startCalledAt(t testing.TB, o Options, role string, args ...string) *called {
	t.Helper()
	path := filepath.Join(tempDir(t), "calls")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	o.Command = RoleCommand(t, role, append([]string{path}, args...)...)
	return &called{Pool: Start(t, o), Listener: ln}
}

// caller is one connection to one worker. It is for one goroutine.
type caller struct {
	PID  int // of the worker
	conn net.Conn
	out  *gob.Encoder
	in   *gob.Decoder
}

// accept waits for the next connection of any worker.
func (c *called) accept() (*caller, error) {
	if err := c.Listener.SetDeadline(time.Now().Add(Patience)); err != nil {
		return nil, err
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	x := &caller{conn: conn, out: gob.NewEncoder(conn), in: gob.NewDecoder(conn)}
	if err := x.in.Decode(&x.PID); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return x, nil
}

// next is accept for a test that cannot go on without.
func (c *called) next(t testing.TB) *caller {
	t.Helper()
	x, err := c.accept()
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Err)
	}
	t.Cleanup(func() { _ = x.conn.Close() })
	return x
}

// call does one operation. An error says that the worker has gone: whether it
// was done is not known.
func (x *caller) call(c storeCall) (r storeReply, err error) {
	err = x.exchange(c, &r)
	return r, err
}

// exchange sends a call and waits for its reply.
func (x *caller) exchange(c, reply any) error {
	if err := x.conn.SetDeadline(time.Now().Add(2 * Patience)); err != nil {
		return err
	}
	if err := x.out.Encode(c); err != nil {
		return err
	}
	return x.in.Decode(reply)
}

// must is call for a test that cannot go on without.
func (x *caller) must(t testing.TB, c storeCall) storeReply {
	t.Helper()
	r, err := x.call(c)
	if err != nil {
		t.Fatalf("%s %q by worker %d: %v", c.Verb, c.Key, x.PID, err)
	}
	return r
}

// begin does one operation beside what the test does meanwhile.
func (x *caller) begin(c storeCall) (wait func() (storeReply, time.Time, error)) {
	var r storeReply
	var at time.Time
	var err error
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err = x.call(c)
		at = time.Now()
	})
	return func() (storeReply, time.Time, error) { wg.Wait(); return r, at, err }
}
