package sockets

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Passed adopts the sockets that systemd passed to this process. It checks all
// of them before it changes any, sets close-on-exec, and removes a filter that
// an earlier instance has left behind. It closes nothing, whatever it finds,
// and leaves the variables to Unset.
//
// A worker uses Inherited: a filter that its master has attached is to stay.
func Passed() ([]*Socket, error) {
	passed, err := Inherited()
	if err != nil {
		return nil, err
	}
	for _, s := range passed {
		if err := s.OpenDoor(); err != nil {
			return nil, err
		}
	}
	return passed, nil
}

// Inherited is Passed without a change of the socket, as it is for a worker:
// of the descriptor alone, close-on-exec is set.
func Inherited() ([]*Socket, error) {
	names, err := passedNames()
	if err != nil {
		return nil, err
	}
	var passed []*Socket
	for i, name := range names {
		s, err := adoptPassed(firstFD+i, name)
		if err != nil {
			return nil, fmt.Errorf("%s: descriptor %d (%s): %w", envFDs, firstFD+i, nameOr(name, "no name"), err)
		}
		passed = append(passed, s)
	}
	for _, s := range passed {
		if _, err := unix.FcntlInt(uintptr(s.FD), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("%s: descriptor %d: %w", envFDs, s.FD, os.NewSyscallError("fcntl", err))
		}
	}
	return passed, nil
}

// adoptPassed looks at one descriptor and changes nothing.
func adoptPassed(fd int, name string) (*Socket, error) {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err == unix.EBADF:
		return nil, errors.New("it is not open")
	case err == unix.ENOTSOCK:
		return nil, errors.New("it is not a socket")
	case err != nil:
		return nil, os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if kind != unix.SOCK_STREAM {
		return nil, errors.New("it is not a stream socket: want ListenStream= in its unit")
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if family != unix.AF_INET && family != unix.AF_INET6 && family != unix.AF_UNIX {
		return nil, fmt.Errorf("its address family is %d: want TCP or Unix", family)
	}
	if listening == 0 {
		return nil, errors.New("it does not listen: want Accept=no in its unit")
	}
	a, err := boundAddr(fd)
	if err != nil {
		return nil, err
	}
	if family == unix.AF_INET6 {
		only, err := unix.GetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return nil, os.NewSyscallError("getsockopt", err)
		}
		a.Options.V6Only = only != 0
	}
	asked := Addr{Systemd: name}
	if name == "" {
		asked = Addr{Network: a.Network, Host: a.Host, Port: a.Port, Path: a.Path, Abstract: a.Abstract}
	}
	a.Systemd = name
	return &Socket{FD: fd, Name: name, Addr: a, Asked: asked, Adopted: true}, nil
}

func nameOr(name, other string) string {
	if name == "" {
		return other
	}
	return fmt.Sprintf("%q", name)
}
