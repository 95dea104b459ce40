package sockets

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Queued says that a connection waits to be accepted: poll(2) without waiting.
func (s *Socket) Queued() (bool, error) {
	if s.shut {
		// After a shutdown poll(2) reports the socket readable for ever.
		queue, _, err := s.Depth()
		return queue > 0, err
	}
	fds := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		if err == nil && fds[0].Revents&unix.POLLNVAL != 0 {
			err = unix.EBADF
		}
		if err != nil {
			return false, fmt.Errorf("look at the queue of %s: %w", s.Addr.Bound(), os.NewSyscallError("poll", err))
		}
		return fds[0].Revents&unix.POLLIN != 0, nil
	}
}

// Depth is the number of connections that wait to be accepted, and the backlog
// as the kernel has it. On a Unix socket it wraps ErrNoDiag where the kernel
// has no unix_diag.
func (s *Socket) Depth() (queue, backlog int, err error) {
	if s.Addr.Network == NetworkTCP {
		// On a listener these two fields are sk_ack_backlog and
		// sk_max_ack_backlog (tcp_get_info in net/ipv4/tcp.c).
		info, tcpErr := unix.GetsockoptTCPInfo(s.FD, unix.IPPROTO_TCP, unix.TCP_INFO)
		if tcpErr == nil {
			return int(info.Unacked), int(info.Sacked), nil
		}
		err = os.NewSyscallError("getsockopt", tcpErr)
	} else {
		queue, backlog, err = unixQueue(s.FD)
	}
	if err != nil {
		err = fmt.Errorf("read the queue of %s: %w", s.Addr.Bound(), err)
	}
	return queue, backlog, err
}

// SynRecv says that a handshake on the listener's address is under way: its
// SYN is answered, and the client's ACK has not come. Such a connection is in
// no queue yet. It wraps ErrNoDiag where the kernel does not tell; a Unix
// socket has none.
func (s *Socket) SynRecv() (bool, error) {
	if s.Addr.Network != NetworkTCP {
		return false, nil
	}
	found, err := synRecv(s.Addr)
	if err != nil {
		return false, fmt.Errorf("look for handshakes on %s: %w", s.Addr.Bound(), err)
	}
	return found, nil
}

// Overflows is the number of connections that the kernel has dropped since its
// start as a listener's queue was full: ListenOverflows of TcpExt, over all
// listeners of the network namespace.
func Overflows() (uint64, error) {
	const name = "/proc/net/netstat"
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := netstat(string(b), "TcpExt", "ListenOverflows")
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return n, nil
}

// noDiag turns the errors that mean "this kernel, or this sandbox, has no
// sock_diag" into ErrNoDiag.
func noDiag(err error) error {
	for _, no := range []error{
		unix.ENOENT,          // no module for the family (sock_diag_rcv_msg in net/core/sock_diag.c)
		unix.EPROTONOSUPPORT, // netlink without sock_diag
		unix.EAFNOSUPPORT,    // no netlink, or forbidden by RestrictAddressFamilies=
		unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, unix.ENOSYS,
	} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrNoDiag, err)
		}
	}
	return err
}
