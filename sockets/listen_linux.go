package sockets

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Listen binds an address and listens on it. The socket is close-on-exec,
// blocking and plain TCP; a port of 0 becomes a real one in Addr. The caller
// owns it and ends it with Close.
//
// The error wraps ErrInUse when the address has a live listener.
func Listen(a Addr) (*Socket, error) {
	var s *Socket
	var err error
	switch {
	case a.Systemd != "":
		return nil, fmt.Errorf("listen %s: systemd makes this socket: want its name among LISTEN_FDNAMES", a)
	case a.Network == NetworkTCP:
		s, err = listenTCP(a)
	case a.Network == NetworkUnix && a.Abstract:
		s, err = listenAbstract(a)
	case a.Network == NetworkUnix:
		s, err = listenPath(a)
	default:
		err = errors.New("no address: want one made by Parse")
	}
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	return s, nil
}

// open makes a stream socket. The protocol is given, as 0 may become MPTCP by
// a BPF program (mptcpify), and MPTCP sockets refuse SO_ATTACH_FILTER.
func open(family, protocol int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// start applies the options and listens, for a socket that is bound. It owns
// fd and closes it on an error.
func start(fd int, asked, bound Addr) (*Socket, error) {
	o := asked.Options
	bound.Options, bound.Text = Options{V6Only: o.V6Only, FreeBind: o.FreeBind}, asked.Text
	s := &Socket{FD: fd, Name: o.Name, Addr: bound, Asked: asked}
	if err := s.apply(o); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// listen calls listen(2), which on a listening socket changes the backlog
// alone (inet_listen in net/ipv4/af_inet.c, unix_listen in net/unix/af_unix.c).
func listen(fd, backlog int) error {
	if backlog == 0 {
		backlog = sysctl("net/core/somaxconn", unix.SOMAXCONN)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		if err == unix.EADDRINUSE {
			return fmt.Errorf("%w: %w", ErrInUse, os.NewSyscallError("listen", err))
		}
		return os.NewSyscallError("listen", err)
	}
	return nil
}

// sysctl reads a number below /proc/sys; where it cannot be read, as in a
// container that hides it, the kernel's default does.
func sysctl(name string, fallback int) int {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return fallback
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fallback
	}
	return n
}
