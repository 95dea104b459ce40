package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// blocking waits in accept(2) itself, which holds a thread. The kernel wakes
// one such waiter a connection, in the order in which they came.
//
// There is nothing to take back when it leaves: a waiter that a signal wakes
// looks at the connections before it looks at the signal
// (inet_csk_wait_for_connect, net/ipv4/inet_connection_sock.c).
type blocking struct {
	fd   int // open until closed is set
	addr net.Addr

	mu     sync.Mutex
	cond   *sync.Cond // told when waiting ends
	tid    int        // guarded by mu: the thread in accept(2); 0: none
	left   bool       // guarded by mu
	closed bool       // guarded by mu
}

// uninterrupted is the receive timeout that makes a signal end accept(2): Go
// installs its handlers with SA_RESTART, which holds for a socket without
// timeout only (signal(7)). Its length is of no interest.
const uninterrupted = 3600 // seconds

func newBlocking(fd int) (Listener, error) {
	b := &blocking{fd: fd}
	b.cond = sync.NewCond(&b.mu)
	at, err := unix.Getsockname(fd)
	if err == nil {
		b.addr, err = netAddr(at)
	}
	if err == nil {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: uninterrupted}))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("adopt listener on descriptor %d: %w", fd, err), unix.Close(fd))
	}
	return b, nil
}

func netAddr(at unix.Sockaddr) (net.Addr, error) {
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: at.Addr[:], Port: at.Port}, nil
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: at.Addr[:], Port: at.Port}, nil
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: at.Name, Net: "unix"}, nil
	}
	return nil, fmt.Errorf("address of type %T", at)
}

func (b *blocking) Addr() net.Addr { return b.addr }

func (b *blocking) Accept() (net.Conn, error) {
	// The thread that Leave signals must be the one that waits.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		if err := b.begin(); err != nil {
			return nil, err
		}
		fd, _, err := unix.Accept4(b.fd, unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			// The description does not block (an event loop shares it), or the
			// timeout is over.
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}, uninterrupted*1000) // accept says what is wrong
		}
		b.end()
		switch err {
		case nil:
			return fileConn(fd)
		case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED:
		default:
			return nil, &net.OpError{Op: "accept", Net: b.addr.Network(), Addr: b.addr, Err: os.NewSyscallError("accept4", err)}
		}
	}
}

func (b *blocking) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return net.ErrClosed
	case b.left:
		return ErrLeft
	}
	b.tid = unix.Gettid()
	return nil
}

func (b *blocking) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tid = 0
	b.cond.Broadcast()
}

// kickLocked gets the thread out of accept(2). A signal that comes just before
// the thread enters it is without effect, so it is sent until the thread is out.
// SIGURG is what the runtime itself preempts with: programs expect it.
func (b *blocking) kickLocked() {
	for b.tid != 0 {
		_ = unix.Tgkill(os.Getpid(), b.tid, unix.SIGURG) // the thread is locked to Accept, so it is there
		again := time.AfterFunc(time.Millisecond, b.cond.Broadcast)
		b.cond.Wait()
		again.Stop()
	}
}

// Sweep has nothing to do: a thread in accept(2) is always looking.
func (b *blocking) Sweep() {}

func (b *blocking) Leave(int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	b.kickLocked()
}

func (b *blocking) Rejoin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = false
}

func (b *blocking) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	b.closed = true
	b.kickLocked()
	return os.NewSyscallError("close", unix.Close(b.fd))
}
