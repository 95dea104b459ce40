package resp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/resp"
	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
)

// failing is a store that has an answer of its own.
type failing struct {
	*storetest.Model
	err atomic.Value
}

func (f *failing) fails() error { return f.err.Load().(error) }

func (f *failing) Get(context.Context, string) (store.Entry, bool, error) {
	return store.Entry{}, false, f.fails()
}

func (f *failing) Set(context.Context, string, []byte, store.Write) (uint64, error) {
	return 0, f.fails()
}

func (f *failing) Add(context.Context, string, int64) (int64, error) { return 0, f.fails() }

func (f *failing) Scan(context.Context, uint64, int) ([]string, uint64, error) {
	return nil, 0, f.fails()
}

func (f *failing) Stats(context.Context) (store.Stats, error) { return store.Stats{}, f.fails() }

func TestErrorsOfTheStoreHaveRedissWords(t *testing.T) {
	f := &failing{Model: storetest.NewModel()}
	w := dial(t, serve(t, f, resp.Options{}))
	for _, row := range []struct {
		err  error
		want string
	}{
		{store.ErrFull, "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
		{store.ErrBusy, "-BUSY a process kept a part of the store for 250 ms; try again\r\n"},
		{store.ErrNotNumber, "-ERR value is not an integer or out of range\r\n"},
		{store.ErrRange, "-ERR increment or decrement would overflow\r\n"},
		{store.ErrTooLarge, "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
		{store.ErrNoMemory, "-OOM it: store: not enough memory\r\n"},
		{store.ErrCorrupt, "-ERR it: store: corrupt\r\n"},
		{store.ErrUnavailable, "-ERR it: store: unavailable\r\n"},
		{errors.New("two\r\nlines"), "-ERR it: two  lines\r\n"},
	} {
		f.err.Store(fmt.Errorf("it: %w", row.err))
		for _, command := range []string{"set k v", "get k", "mget a b", "incr k", "append k v", "set k v get", "scan 0", "keys *", "dbsize", "info", "getex k ex 10", "expire k 10 nx", "ttl k", "exists a b", "incrbyfloat k 1", "mset a b", "setnx a b", "flushall", "prefork stats"} {
			if got := w.do(strings.Fields(command)...); got != row.want {
				t.Errorf("%s with %v: %q, want %q", command, row.err, got, row.want)
			}
		}
	}
}

func TestKeysAndValuesHaveTheirBounds(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	key, value := strings.Repeat("k", store.MaxKey), strings.Repeat("v", store.MaxValue)
	if got := w.do("set", key, value); got != "+OK\r\n" {
		t.Errorf("%.100q", got)
	}
	if got := w.do("get", key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) {
		t.Errorf("%.100q", got)
	}
	for _, args := range [][]string{
		{"set", "k", value + "v"}, {"setnx", "k", value + "v"}, {"set", "k", value + "v", "get"}, {"mset", "a", "1", "k", value + "v"},
		{"append", key, "v"}, {"setrange", key, "1048576", "v"}, {"setrange", "k", "99999999999", "v"}, {"getset", "k", value + "v"},
	} {
		if got := w.do(args...); got != "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n" {
			t.Errorf("%.30q: %.100q", args, got)
		}
	}
	key += "k"
	for _, args := range [][]string{
		{"set", key, "v"}, {"get", key}, {"del", key}, {"expire", key, "1"}, {"expire", key, "1", "nx"}, {"ttl", key}, {"incr", key}, {"incrbyfloat", key, "1"},
		{"append", key, "v"}, {"mget", "a", key}, {"mset", "a", "1", key, "1"}, {"getdel", key}, {"getex", key}, {"exists", "a", key}, {"persist", key}, {"type", key}, {"set", key, "1", "get"},
	} {
		if got := w.do(args...); got != "-ERR key exceeds maximum allowed size (4096 bytes)\r\n" {
			t.Errorf("%.30q: %.100q", args, got)
		}
	}
	if got := w.do("exists", "a"); got != ":0\r\n" {
		t.Error("an MSET that cannot be written as a whole wrote a part")
	}
}

func TestAFullStoreAnswersOOM(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{Size: store.MinSize, Full: store.RefuseFull}), resp.Options{}))
	for i := range 10000 {
		switch got := w.do("set", fmt.Sprint("k", i), strings.Repeat("v", 1000)); {
		case got == "-OOM command not allowed when used memory > 'maxmemory'.\r\n":
			if got := w.do("get", "k0"); len(got) < 1000 {
				t.Errorf("%q", got)
			}
			return
		case got != "+OK\r\n":
			t.Fatal(got)
		}
	}
	t.Error("10 MB fit into 256 KiB")
}

// TestReadModifyWriteLosesNothing has another view write the same keys.
func TestReadModifyWriteLosesNothing(t *testing.T) {
	s := store.Private(store.Config{})
	path := serve(t, s, resp.Options{})
	const n = 1000
	ctx := t.Context()
	var all sync.WaitGroup
	all.Go(func() {
		for range n {
			if _, err := s.Add(ctx, "n", 1); err != nil {
				t.Error(err)
			}
			for {
				e, found, err := s.Get(ctx, "text")
				w := store.Write{If: store.IfAbsent}
				if found {
					w = store.Write{If: store.IfVersion, Version: e.Version}
				}
				if err == nil {
					_, err = s.Set(ctx, "text", append(e.Value, 'g'), w)
				}
				if err == nil {
					break
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}
	})
	w := dial(t, path)
	w.send(bytes.Repeat(append(append(encode("incrbyfloat", "n", "1"), encode("append", "text", "r")...), encode("incr", "n")...), n))
	for range 3 * n {
		w.reply()
	}
	all.Wait()
	if got := w.do("get", "n"); got != fmt.Sprintf("$4\r\n%d\r\n", 3*n) {
		t.Errorf("%q, want %d", got, 3*n)
	}
	if got := w.do("strlen", "text"); got != fmt.Sprintf(":%d\r\n", 2*n) {
		t.Errorf("%q, want %d", got, 2*n)
	}
}

// TestTheConversationHoldsForAnyStore runs on a store that reads into no
// memory of the caller's, and keeps the keys that it is given.
func TestTheConversationHoldsForAnyStore(t *testing.T) {
	b := &both{t: t, ours: dial(t, serve(t, storetest.NewModel(), resp.Options{})), redis: dial(t, redisServer(t))}
	for line := range strings.Lines(conversation) {
		if line = strings.TrimSpace(strings.ReplaceAll(line, "LONG", strings.Repeat("x", 300))); line != "" {
			b.same(words(t, line)...)
		}
	}
}

func TestWhatWasReadIsAnsweredAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := store.Private(store.Config{})
	go func() { done <- resp.Serve(ctx, fd, s, resp.Options{Drain: time.Minute}) }()
	w := dial(t, path)
	w.do("set", "big", strings.Repeat("x", 100000))
	// Replies of 20 MB, of which the socket takes 200 KB: they are read after
	// the end was asked for.
	const n = 200
	w.send(append(bytes.Repeat(encode("get", "big"), n), encode("incr", "end")...))
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, found, err := s.Get(t.Context(), "end"); err != nil || found || time.Now().After(deadline) {
			break
		}
	}
	stop()
	got, err := io.ReadAll(w.r)
	if err != nil || !bytes.HasSuffix(got, []byte("\r\n:1\r\n")) || len(got) < n*100000 {
		t.Errorf("%d bytes, %v, want all of %d", len(got), err, n*100000)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheEndDoesNotWaitForThoseWhoDoNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- resp.Serve(ctx, fd, store.Private(store.Config{}), resp.Options{Drain: 50 * time.Millisecond})
	}()
	w := dial(t, path)
	w.do("set", "big", strings.Repeat("x", 1<<20))
	w.send(bytes.Repeat(encode("get", "big"), 10))
	w.reply()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits")
	}
}

func TestOwnToolsGetFiguresCheckAndVersion(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{Version: "1.2.3"}))
	w.do("hello", "3")
	w.do("set", "k", "v")
	w.do("get", "k")
	if got := w.do("prefork", "version"); got != "$5\r\n1.2.3\r\n" {
		t.Errorf("%q", got)
	}
	stats := w.do("prefork", "stats")
	for _, want := range []string{"%15\r\n", "$7\r\nentries\r\n:1\r\n", "$4\r\nhits\r\n:1\r\n", "used_bytes\r\n:128\r\n"} {
		if !strings.Contains(stats, want) {
			t.Errorf("%q does not have %q", stats, want)
		}
	}
	if got := w.do("prefork", "check"); !strings.HasPrefix(got, "=") || !strings.Contains(got, "no problems") {
		t.Errorf("%q", got)
	}
	w = dial(t, serve(t, storetest.NewModel(), resp.Options{}))
	if got := w.do("prefork", "check"); !strings.HasPrefix(got, "-ERR check: unsupported operation") {
		t.Errorf("%q", got)
	}
}

func TestAllKeysAreFoundAndFlushed(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	const n = 20000
	var b []byte
	for i := range n {
		b = append(b, encode("set", fmt.Sprintf("key:%d", i), "v")...)
	}
	go func() { _, _ = w.Write(b) }()
	for range n {
		w.reply()
	}
	if got := strings.Count(w.do("keys", "key:*"), "key:"); got != n {
		t.Errorf("KEYS gives %d of %d", got, n)
	}
	if got := strings.Count(w.do("keys", "key:1999?"), "key:"); got != 10 {
		t.Errorf("KEYS gives %d of 10", got)
	}
	seen, cursor := 0, "0"
	for {
		lines := strings.Split(w.do("scan", cursor, "count", "500", "match", "key:*"), "\r\n")
		seen += len(lines[4:]) / 2
		if cursor = lines[2]; cursor == "0" {
			break
		}
	}
	if seen != n {
		t.Errorf("SCAN gives %d of %d", seen, n)
	}
	if got := w.do("flushdb"); got != "+OK\r\n" {
		t.Error(got)
	}
	if got := w.do("dbsize"); got != ":0\r\n" {
		t.Error(got)
	}
}

// TestManyKeysAtOnceDoNotStarveOthers has one client ask for 20,000 keys at a
// time, over and over.
func TestManyKeysAtOnceDoNotStarveOthers(t *testing.T) {
	s := store.Private(store.Config{})
	path := serve(t, s, resp.Options{})
	const n = 20000
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprint("k", i%1000))
	}
	greedy := dial(t, path)
	pairs := []string{"mset"}
	for _, k := range keys[:10000] {
		pairs = append(pairs, k, "value")
	}
	if got := greedy.do(pairs...); got != "+OK\r\n" {
		t.Fatal(got)
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		for range 10 {
			if got := greedy.do(append([]string{"mget"}, keys...)...); strings.Count(got, "$5\r\nvalue\r\n") != n {
				t.Errorf("%d values", strings.Count(got, "value"))
			}
			if got := greedy.do(append([]string{"exists"}, keys...)...); got != fmt.Sprintf(":%d\r\n", n) {
				t.Error(got)
			}
		}
		greedy.send(append(append(encode("client", "reply", "skip"), encode(append([]string{"mget"}, keys...)...)...), encode("echo", "after")...))
		if got := greedy.reply(); got != "$5\r\nafter\r\n" {
			t.Errorf("%.100q", got)
		}
		if got := greedy.do(append([]string{"del"}, keys...)...); got != ":1000\r\n" {
			t.Error(got)
		}
	}()
	other := dial(t, path)
	answered := 0
	var longest time.Duration
	for {
		select {
		case <-end:
			t.Logf("%d answers to others, the slowest after %v", answered, longest)
			if answered < 50 {
				t.Errorf("%d answers", answered)
			}
			return
		default:
			start := time.Now()
			other.do("ping")
			longest = max(longest, time.Since(start))
			answered++
		}
	}
}

// stuck is a store of which a part is kept by a process that lives.
type stuck struct{ *storetest.Model }

func (s *stuck) Get(context.Context, string) (store.Entry, bool, error) {
	<-time.After(20 * time.Millisecond) // 250 in truth
	return store.Entry{}, false, store.ErrBusy
}

func TestAPartThatIsKeptDelaysOthersOnce(t *testing.T) {
	path := serve(t, &stuck{storetest.NewModel()}, resp.Options{})
	w, other := dial(t, path), dial(t, path)
	const n = 100
	w.send(append(bytes.Repeat(encode("get", "k"), n), encode("quit")...))
	w.reply()
	for range 10 {
		if got := other.do("ping"); got != "+PONG\r\n" {
			t.Error(got)
		}
	}
	answered := strings.Count(other.do("client", "list"), "cmd=get") // w is still at it
	if answered != 1 {
		t.Error("the others had their turns when all that waited was answered")
	}
	if got := strings.Count(w.rest(), "-BUSY"); got != n-1 {
		t.Errorf("%d of %d", got+1, n)
	}
}

// TestTheNextServerTakesTheClientsThatWait is a helper that was restarted: the
// listener stays, and with it who connected meanwhile.
func TestTheNextServerTakesTheClientsThatWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	s := store.Private(store.Config{})
	for round := range 3 {
		waiting := dial(t, path)
		waiting.send(encode("incr", "rounds"))
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- resp.Serve(ctx, fd, s, resp.Options{}) }()
		if got := waiting.reply(); got != fmt.Sprintf(":%d\r\n", round+1) {
			t.Error(got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := waiting.rest(); got != "" {
			t.Errorf("%q", got)
		}
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	before := openFiles(t)
	t.Run("serve", func(t *testing.T) {
		path := serve(t, store.Private(store.Config{}), resp.Options{})
		for range 20 {
			dial(t, path).do("ping")
		}
	})
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
