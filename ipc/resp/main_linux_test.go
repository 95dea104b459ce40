package resp_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// TestMain is also a server in a process of its own: RESP_TEST_SERVE is the
// path of its socket, and it ends with SIGTERM or with its stdin.
func TestMain(m *testing.M) {
	if path := os.Getenv("RESP_TEST_SERVE"); path != "" {
		if err := serveAt(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

func serveAt(path string) error {
	if path := os.Getenv("RESP_TEST_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	fd, err := listenAt(path)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(os.Getenv("RESP_TEST_FDS")); err == nil {
		// Serve counts with the limit of now; then all but n are in use.
		time.AfterFunc(200*time.Millisecond, func() { leaveFDs(n) })
	} else {
		fmt.Println("ready")
	}
	return resp.Serve(ctx, fd, store.Private(store.Config{Size: 256 << 20}), resp.Options{
		Inline: true, Version: "test", Password: os.Getenv("RESP_TEST_PASSWORD"),
	})
}

// leaveFDs lowers the limit of open files to n more than there are.
func leaveFDs(n int) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	limit := uint64(len(all) - 1 + n)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		panic(err)
	}
	fmt.Println("ready")
}

func listenAt(path string) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, os.NewSyscallError("listen", unix.Listen(fd, 4096))
}

// serve serves a store in this process until the test ends, and gives the path
// of the socket.
func serve(t testing.TB, s store.Store, o resp.Options) (path string) {
	path = filepath.Join(t.TempDir(), "s")
	fd, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- resp.Serve(ctx, fd, s, o) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve did not end within 10 s of the end of its context")
		}
		_ = unix.Close(fd)
	})
	return path
}
