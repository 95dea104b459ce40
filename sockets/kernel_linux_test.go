package sockets_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// patience bounds every wait for a state that must come; the machine may be
// busy. A wait that must end without an event lasts calm.
const (
	patience = 20 * time.Second
	calm     = 300 * time.Millisecond
)

// listen binds text and closes the socket at the end of the test.
func listen(t testing.TB, text string) *sockets.Socket {
	t.Helper()
	s, err := sockets.Listen(mustParse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// socketPath is a fresh path, short enough for any TMPDIR.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sockets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// abstractName is a name that no other test has.
func abstractName(t testing.TB) string {
	return fmt.Sprintf("sockets-test-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
}

// A peer is the connecting end, as a bare descriptor: net.Dial would wait.
type peer struct {
	t  testing.TB
	fd int
}

// dial starts to connect to s and does not wait.
func dial(t testing.TB, s *sockets.Socket) peer {
	t.Helper()
	c, err := tryDial(t, sockaddr(t, s))
	if err != nil {
		t.Fatalf("connect to %s: %v", s.Addr.Bound(), err)
	}
	return c
}

// dialDeaf is dial with a client that hears no answer: the SYN-ACK is dropped
// by its filter, so that the listener stays in SYN_RECV until hear.
func dialDeaf(t testing.TB, s *sockets.Socket) peer {
	t.Helper()
	c := newClient(t, sockaddr(t, s))
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	prog := unix.SockFprog{Len: 1, Filter: &drop[0]}
	if err := unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(c.fd, sockaddr(t, s)); err != unix.EINPROGRESS {
		t.Fatalf("connect: %v, want EINPROGRESS", err)
	}
	return c
}

func (c peer) hear() {
	c.t.Helper()
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		c.t.Fatal(err)
	}
}

func newClient(t testing.TB, sa unix.Sockaddr) peer {
	t.Helper()
	family := unix.AF_UNIX
	switch sa.(type) {
	case *unix.SockaddrInet4:
		family = unix.AF_INET
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return peer{t, fd}
}

func tryDial(t testing.TB, sa unix.Sockaddr) (peer, error) {
	t.Helper()
	c := newClient(t, sa)
	if err := unix.Connect(c.fd, sa); err != nil && err != unix.EINPROGRESS {
		return c, err
	}
	return c, nil
}

// sockaddr is where clients connect: the loopback address where all are bound.
func sockaddr(t testing.TB, s *sockets.Socket) unix.Sockaddr {
	t.Helper()
	sa, err := unix.Getsockname(s.FD)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		if sa.Addr == [4]byte{} {
			sa.Addr = [4]byte{127, 0, 0, 1}
		}
	case *unix.SockaddrInet6:
		if sa.Addr == [16]byte{} {
			sa.Addr[15] = 1
		}
	}
	return sa
}

// connected waits until the handshake is done.
func (c peer) connected() {
	c.t.Helper()
	if !ready(c.t, c.fd, unix.POLLOUT, patience) {
		c.t.Fatal("the client is not connected in time")
	}
	if err := c.pendingError(); err != nil {
		c.t.Fatalf("connect: %v", err)
	}
}

// leftWaiting says that the client is neither answered nor refused.
func (c peer) leftWaiting() {
	c.t.Helper()
	if ready(c.t, c.fd, unix.POLLOUT, calm) {
		c.t.Fatalf("connect came to an end: %v", c.pendingError())
	}
	const synSent = 2 // TCP_SYN_SENT, net/tcp_states.h
	info, err := unix.GetsockoptTCPInfo(c.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		c.t.Fatal(err)
	}
	if info.State != synSent {
		c.t.Fatalf("the client is in state %d, want SYN_SENT", info.State)
	}
}

func (c peer) pendingError() error {
	c.t.Helper()
	n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		c.t.Fatal(err)
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// ready waits for an event of poll(2), or an error, on fd.
func ready(t testing.TB, fd int, event int16, wait time.Duration) bool {
	t.Helper()
	deadline := time.Now().Add(wait)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: event}}
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
}

// accept takes one connection from the queue.
func accept(t testing.TB, s *sockets.Socket) peer {
	t.Helper()
	if !ready(t, s.FD, unix.POLLIN, patience) {
		t.Fatal("no connection in the queue in time")
	}
	fd, _, err := unix.Accept4(s.FD, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return peer{t, fd}
}

// talk sends a byte each way.
func talk(t testing.TB, a, b peer) {
	t.Helper()
	for _, way := range [][2]peer{{a, b}, {b, a}} {
		if _, err := unix.Write(way[0].fd, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if !ready(t, way[1].fd, unix.POLLIN, patience) {
			t.Fatal("a byte does not arrive in time")
		}
		buf := make([]byte, 8)
		if n, err := unix.Read(way[1].fd, buf); n != 1 || err != nil {
			t.Fatalf("read: %d bytes, %v", n, err)
		}
	}
}

// eventually asks again and again until the state is there.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func sockopt(t testing.TB, fd, level, opt int) int {
	t.Helper()
	n, err := unix.GetsockoptInt(fd, level, opt)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// play starts the test binary in a role, with env added and files from fd 3
// on, and returns what it prints. With nobody it runs without privileges.
func play(t *testing.T, name string, nobody bool, files []*os.File, env ...string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, roleEnv+"="+name)...)
	cmd.ExtraFiles = files
	if nobody && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if complaints.Len() > 0 {
		t.Logf("role %s: %s", name, complaints.String())
	}
	if err != nil {
		t.Fatalf("role %s: %v\n%s", name, err, out)
	}
	return string(out)
}

// file is a duplicate of a descriptor for play.
func file(t testing.TB, fd int) *os.File {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(dup), "passed")
	t.Cleanup(func() { _ = f.Close() })
	return f
}
