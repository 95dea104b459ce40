package main

import (
	"context"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// serveStore serves a store at a path as a pool's helper does. The function
// given back ends it.
func serveStore(path string, s store.Store, o resp.Options) (end func() error, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, 16); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- resp.Serve(ctx, fd, s, o) }()
	return func() error {
		cancel()
		err := <-ended
		_ = unix.Close(fd)
		return err
	}, nil
}

// scriptStore is the command "store SOCKET SIZE [PASSWORD]" of scripts: a
// store of that size, served in the test's own process.
func scriptStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: store SOCKET SIZE [PASSWORD]")
	}
	c, err := store.ParseConfig(args[1])
	ts.Check(err)
	o := resp.Options{}
	if len(args) == 3 {
		o.Password = args[2]
	}
	end, err := serveStore(ts.MkAbs(args[0]), store.Private(c), o)
	ts.Check(err)
	ts.Defer(func() { _ = end() })
}

// testStore serves a store for one test and gives it and its URL.
func testStore(t *testing.T) (*store.Embedded, string) {
	t.Helper()
	s := store.Private(store.Config{Size: 1 << 20})
	path := t.TempDir() + "/store.sock"
	end, err := serveStore(path, s, resp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return s, "unix://" + path
}
