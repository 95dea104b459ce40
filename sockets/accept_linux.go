package sockets

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Accept makes a Listener of an inherited listening descriptor. It owns fd
// from then on, also when it fails. It sets CLOEXEC and, but for Blocking,
// O_NONBLOCK on the description: the one flag of it that is ever changed.
func Accept(fd int, o AcceptOptions) (Listener, error) {
	l, err := adopt(fd)
	if err != nil {
		return nil, err
	}
	return Share(l)
}

// adopt turns fd into Go's listener, registered in Go's poller.
//
// net.FileListener duplicates the descriptor and sets O_NONBLOCK on it (net,
// file_unix.go); os.NewFile leaves the flags of what it is given alone, so its
// Fd clears none (os, file_unix.go: only what it opened itself is set back).
func adopt(fd int) (net.Listener, error) {
	unix.CloseOnExec(fd)
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
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the path is the master's
	}
	return l, nil
}
