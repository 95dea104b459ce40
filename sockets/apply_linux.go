package sockets

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Apply sets the options anew on an open socket, as a reload does: those asked
// for now, and those asked for before and no more, which go back to the
// kernel's default. What nobody ever asked for stays as it is, so that a
// passed socket keeps what its unit says. Mode, user and group that are no
// longer asked for stay, too. The name is not touched: it depends on the place
// in the list.
//
// A change of v6only or freebind, which only bind(2) takes, is an error that
// wraps ErrNeedsRestart.
func (s *Socket) Apply(o Options) error {
	if o.V6Only != s.Addr.Options.V6Only && !s.Adopted || o.FreeBind != s.Addr.Options.FreeBind {
		return fmt.Errorf("apply options to %s: v6only or freebind changed: %w", s.Addr.Bound(), ErrNeedsRestart)
	}
	before := s.Addr.Options
	if s.bindsPath() && (o.Mode != before.Mode || o.User != before.User || o.Group != before.Group) {
		uid, gid, err := owners(o)
		if err == nil {
			err = s.setOwnerAndMode(uid, gid, o.Mode)
		}
		if err != nil {
			return fmt.Errorf("apply options to %s: %w", s.Addr.Bound(), err)
		}
	}
	if err := s.apply(o); err != nil {
		return fmt.Errorf("apply options to %s: %w", s.Addr.Bound(), err)
	}
	return nil
}

// apply sets what an open socket takes, and listens.
func (s *Socket) apply(o Options) error {
	before := s.Addr.Options
	if s.Addr.Network == NetworkTCP {
		if err := s.applyTCP(o, before); err != nil {
			return err
		}
	} else if o.KeepAlive != 0 || o.DeferAccept != 0 || o.FastOpen != 0 {
		return errors.New("keepalive, defer-accept and fast-open do not fit a Unix socket")
	}
	// The backlog is bounded by somaxconn at the time of the call, which may
	// have been raised since.
	if !s.Adopted || o.Backlog != 0 || before.Backlog != 0 {
		if err := listen(s.FD, o.Backlog); err != nil {
			return err
		}
	}
	if s.Adopted {
		o.V6Only = before.V6Only // what the kernel says, and no option of ours
	}
	s.Addr.Options, s.Asked.Options = o, o
	return nil
}

func (s *Socket) applyTCP(o, before Options) error {
	if o.KeepAlive != 0 || before.KeepAlive != 0 {
		if err := setKeepAlive(s.FD, o.KeepAlive); err != nil {
			return err
		}
	}
	if o.DeferAccept != 0 || before.DeferAccept != 0 {
		if err := setInt(s.FD, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", int(o.DeferAccept/time.Second)); err != nil {
			return err
		}
	}
	if o.FastOpen != 0 || before.FastOpen != 0 {
		return setInt(s.FD, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, "TCP_FASTOPEN", o.FastOpen)
	}
	return nil
}

// setKeepAlive sets on the listener what its connections inherit (tcp(7)). With
// an idle time the probes follow at that interval too, at most every 75 s, the
// kernel's default.
func setKeepAlive(fd int, idle time.Duration) error {
	if idle == 0 || idle == KeepAliveOff {
		return setInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, "SO_KEEPALIVE", 0)
	}
	first := sysctl("net/ipv4/tcp_keepalive_time", 7200)
	between := sysctl("net/ipv4/tcp_keepalive_intvl", 75)
	if idle > 0 {
		first = int(idle / time.Second)
		between = min(first, 75)
	}
	if err := setInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, "TCP_KEEPIDLE", first); err != nil {
		return err
	}
	if err := setInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, "TCP_KEEPINTVL", between); err != nil {
		return err
	}
	return setInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, "SO_KEEPALIVE", 1)
}

// SetBlocking clears O_NONBLOCK, which is shared by all who have the socket
// open: an event-loop program has set it, and the next one, which calls
// accept(2) as it comes, would end by EAGAIN.
func (s *Socket) SetBlocking() error {
	flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_NONBLOCK != 0 {
		_, err = unix.FcntlInt(uintptr(s.FD), unix.F_SETFL, flags&^unix.O_NONBLOCK)
	}
	if err != nil {
		return fmt.Errorf("make %s blocking: %w", s.Addr.Bound(), os.NewSyscallError("fcntl", err))
	}
	return nil
}
