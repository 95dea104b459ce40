//go:build faults

package faults

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"prefork/worker"
)

// holder can hold a worker at the moment between a wake-up and its accept:
// each worker of the role "held" has a seccomp filter that asks here before
// every accept4(2) (seccomp_unotify(2)). Who is not held goes on at once.
type holder struct {
	path string // of the socket on which workers hand over their filter

	mu    sync.Mutex
	armed bool // the next accept4 of anybody is held

	held chan heldCall
}

// heldCall is an accept4 that waits. Its worker may be killed meanwhile.
type heldCall struct {
	pid int // of the worker
	fd  int
	id  uint64
}

// newHolder listens for workers; the test's end closes it.
func newHolder(t testing.TB) *holder {
	t.Helper()
	h := &holder{path: filepath.Join(tempDir(t), "hold"), held: make(chan heldCall, 64)}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.AcceptUnix()
			if err != nil {
				return // closed by the cleanup
			}
			pid, fd, err := receiveFilter(c)
			_ = c.Close()
			if err != nil {
				t.Error(err)
				continue
			}
			wg.Go(func() { h.follow(pid, fd) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait() // the filters end with their workers
	})
	return h
}

// arm has the next accept4 of any worker held, and told on h.held.
func (h *holder) arm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed = true
}

func (h *holder) disarm() (was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, h.armed = h.armed, false
	return was
}

// follow answers one worker's filter until the worker ends.
func (h *holder) follow(pid, fd int) {
	defer func() { _ = unix.Close(fd) }()
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP: nobody uses the filter any more
		}
		var n notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // ENOENT: it was killed, or interrupted, and asks again
		}
		if call := (heldCall{pid, fd, n.id}); h.disarm() {
			h.held <- call
		} else {
			call.release()
		}
	}
}

// notif is struct seccomp_notif, notifResp struct seccomp_notif_resp.
type notif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type notifResp struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// release lets the call go on as if nobody had asked. That its worker is gone
// is no error.
func (c heldCall) release() {
	r := notifResp{id: c.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
}

func receiveFilter(c *net.UnixConn) (pid, fd int, err error) {
	buf, oob := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
	n, on, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil || n != len(buf) {
		return 0, 0, fmt.Errorf("receive a filter: %d bytes, %w", n, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil || len(messages) != 1 {
		return 0, 0, fmt.Errorf("receive a filter: %d messages, %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, 0, fmt.Errorf("receive a filter: %d descriptors, %w", len(fds), err)
	}
	return int(binary.NativeEndian.Uint64(buf)), fds[0], nil
}

// The role "held PATH" is "named" under a filter that it hands to the holder
// at PATH.
var _ = Role("held", func(args []string) {
	if err := installFilter(args[0]); err != nil {
		fmt.Fprintln(os.Stderr, "held:", err)
		os.Exit(1)
	}
	serveRole("held", func(w *worker.Worker) error { return w.Serve(http.HandlerFunc(named)) })
})

func installFilter(path string) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_ACCEPT4, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// TSYNC: the runtime has threads already. WAIT_KILLABLE_RECV: what is held
	// stays so when the runtime preempts with SIGURG; else the call is made
	// again, and is another one.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
		unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	_, _, err = c.WriteMsgUnix(binary.NativeEndian.AppendUint64(nil, uint64(os.Getpid())), unix.UnixRights(int(fd)), nil)
	_ = unix.Close(int(fd))
	return err
}
