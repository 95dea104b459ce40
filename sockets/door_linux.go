package sockets

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// synFilter is a classic BPF program (socket(7), SO_ATTACH_FILTER) that drops
// segments with SYN and without ACK. On a TCP socket the data that it sees
// starts at the TCP header (tcp_filter in net/ipv4/tcp_ipv4.c), where byte 13
// holds the flags (RFC 9293, section 3.1). The ACK that ends a handshake, and
// all that follows, passes: who has been answered gets in, who has not sends
// its SYN again, and again to the next instance.
//
// Accepted connections inherit the filter (sk_clone_lock in net/core/sock.c)
// and never see such a segment.
var synFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: flagSYN | flagACK},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: flagSYN, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// Flags of TCP, RFC 9293.
const (
	flagSYN = 0x02
	flagACK = 0x10
)

// CloseDoor keeps new clients out while those in the queue, and those whose
// handshake is under way, still get in. TCP drops SYN: nobody is refused. A
// Unix path is unlinked, if it is still the one that was bound. An abstract
// address has no door; see Shutdown. A passed socket is left alone: a filter
// would leave it deaf in systemd's hands.
//
// An error that is ErrAjar says that TCP's door is all but closed.
func (s *Socket) CloseDoor() error {
	switch {
	case s.Adopted || s.doorClosed || s.FD < 0:
		return nil
	case s.Addr.Network == NetworkTCP:
		prog := unix.SockFprog{Len: uint16(len(synFilter)), Filter: &synFilter[0]}
		err := unix.SetsockoptSockFprog(s.FD, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
		if err == unix.EPERM {
			return s.leaveAjar()
		}
		if err != nil {
			return fmt.Errorf("close the door of %s: set SO_ATTACH_FILTER: %w", s.Addr.Bound(), os.NewSyscallError("setsockopt", err))
		}
	case s.bindsPath():
		if err := s.unlink(); err != nil {
			return fmt.Errorf("close the door of %s: %w", s.Addr.Bound(), err)
		}
	default:
		return nil
	}
	s.doorClosed = true
	return nil
}

// leaveAjar is what is left where the kernel keeps SO_ATTACH_FILTER for
// CAP_NET_ADMIN (seen with Linux 6.18; older ones give it to everybody): a
// queue with room for one. While one waits, TCP drops the SYN of others, as
// the filter does (sk_acceptq_is_full in include/net/sock.h).
func (s *Socket) leaveAjar() error {
	if err := unix.Listen(s.FD, 0); err != nil {
		return fmt.Errorf("close the door of %s: %w", s.Addr.Bound(), os.NewSyscallError("listen", err))
	}
	s.doorClosed, s.ajar = true, true
	return fmt.Errorf("close the door of %s: %w", s.Addr.Bound(), ErrAjar)
}

// OpenDoor undoes CloseDoor for TCP, whoever has attached the filter. A Unix
// path that is unlinked cannot come back: that is an error, and Plan binds it
// anew.
func (s *Socket) OpenDoor() error {
	switch {
	case s.Addr.Network == NetworkTCP:
		// ENOENT: there is no filter. EOPNOTSUPP: an MPTCP socket, which cannot
		// have one (mptcp_setsockopt_sol_socket in net/mptcp/sockopt.c).
		err := unix.SetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		if err != nil && err != unix.ENOENT && err != unix.EOPNOTSUPP && err != unix.ENOPROTOOPT {
			return fmt.Errorf("open the door of %s: set SO_DETACH_FILTER: %w", s.Addr.Bound(), os.NewSyscallError("setsockopt", err))
		}
		if s.ajar {
			if err := listen(s.FD, s.Addr.Options.Backlog); err != nil {
				return fmt.Errorf("open the door of %s: %w", s.Addr.Bound(), err)
			}
			s.ajar = false
		}
	case s.doorClosed:
		return fmt.Errorf("open the door of %s: its path is unlinked: want it bound anew", s.Addr.Bound())
	}
	s.doorClosed = false
	return nil
}

// Shutdown keeps new clients out of an abstract Unix address; those in the
// queue can be accepted. It belongs to the stop signal and not before it: who
// waits for connections is woken for good, so that event loops spin and
// blocking accepts fail. All others have CloseDoor, and are left alone here.
func (s *Socket) Shutdown() error {
	if s.Adopted || s.Addr.Network != NetworkUnix || !s.Addr.Abstract {
		return nil
	}
	if err := unix.Shutdown(s.FD, unix.SHUT_RD); err != nil {
		return fmt.Errorf("shut down %s: %w", s.Addr.Bound(), os.NewSyscallError("shutdown", err))
	}
	s.shut = true
	return nil
}

// Close closes the descriptor, and unlinks a path that we bound and that is
// still that inode. Workers that have the socket open go on accepting. A
// second Close does nothing.
func (s *Socket) Close() error {
	if s.FD < 0 {
		return nil
	}
	var unlinkErr error
	if s.bindsPath() && !s.doorClosed {
		unlinkErr = s.unlink() // while the socket is open, see Socket.Ino
	}
	fd := s.FD
	s.FD = -1
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close %s: %w", s.Addr.Bound(), os.NewSyscallError("close", err))
	}
	if unlinkErr != nil {
		return fmt.Errorf("close %s: %w", s.Addr.Bound(), unlinkErr)
	}
	return nil
}
