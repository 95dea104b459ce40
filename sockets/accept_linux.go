package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Accept makes a Listener of an inherited listening descriptor. It owns fd
// from then on, also when it fails. It sets CLOEXEC and, but for Blocking,
// O_NONBLOCK on the description: the one flag of it that is ever changed.
//
// The listener joins the kernel's queue of waiters at the first call of its
// Accept: one that nobody accepts from must not be given wake-ups.
func Accept(fd int, o AcceptOptions) (Listener, error) {
	unix.CloseOnExec(fd)
	s := o.Strategy
	if s == Auto || s == "" {
		s = AutoStrategy(o.Workers)
	}
	if s == Blocking {
		return newBlocking(fd)
	}
	l, err := adopt(fd)
	if err != nil {
		return nil, err
	}
	if s == Naive {
		return &naive{deadliner: l}, nil
	}
	e, err := newExclusive(l, s, o.Held, o.Share)
	if err == nil {
		return e, nil
	}
	if errors.Is(err, errNoEntry) {
		// The runtime waits in some other way than it used to: the herd is
		// dearer, and right.
		return &naive{deadliner: l}, nil
	}
	return nil, errors.Join(err, l.Close())
}

// adopt turns fd into Go's listener, registered in Go's poller.
//
// net.FileListener duplicates the descriptor and sets O_NONBLOCK on it (net,
// file_unix.go); os.NewFile leaves the flags of what it is given alone, and
// its Fd clears none (os, file_unix.go: only what it opened itself is set
// back).
func adopt(fd int) (deadliner, error) {
	f := os.NewFile(uintptr(fd), "listener")
	if f == nil {
		return nil, fmt.Errorf("adopt listener: bad descriptor %d", fd)
	}
	l, err := net.FileListener(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("adopt listener on descriptor %d: %w", fd, err)
	}
	switch l := l.(type) {
	case *net.TCPListener:
		return l, nil
	case *net.UnixListener:
		l.SetUnlinkOnClose(false) // the path is the master's
		return l, nil
	}
	return nil, errors.Join(fmt.Errorf("adopt listener on descriptor %d: a %s socket", fd, l.Addr().Network()), l.Close())
}

// fileConn makes the connection that net's own Accept would: FileConn sets
// TCP_NODELAY, keep-alive and O_NONBLOCK. It owns fd.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	c, err := net.FileConn(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	return c, nil
}
