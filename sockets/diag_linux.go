package sockets

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// synRecv asks the kernel for handshakes on a's port and address, those of
// IPv4 and IPv6. An IPv6 listener gets IPv4 ones too, as mapped addresses.
func synRecv(a Addr) (bool, error) {
	port, err := strconv.ParseUint(a.Port, 10, 16)
	if err != nil {
		return false, err
	}
	host, err := netip.ParseAddr(a.Host)
	if err != nil {
		return false, err
	}
	host = host.WithZone("")
	found := false
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if family == unix.AF_INET6 && host.Is4() {
			break
		}
		req := synRecvRequest(family, unix.IPPROTO_TCP, uint16(port))
		err := diag(req, unix.NLM_F_DUMP, func(b []byte) error {
			h, err := parseHandshake(b, family == unix.AF_INET)
			if err == nil && h.state == tcpSynRecv && h.port == uint16(port) && (host.IsUnspecified() || h.local == host) {
				found = true
			}
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return found, nil
}

// unixQueue asks the kernel for the queue of a listening Unix socket.
func unixQueue(fd int) (queue, backlog int, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, os.NewSyscallError("fstat", err)
	}
	err = errors.New("sock_diag has no answer")
	req := unixQueueRequest(unix.AF_UNIX, uint32(st.Ino)) // socket inodes are of 32 bits
	if diagErr := diag(req, unix.NLM_F_ACK, func(b []byte) error {
		queue, backlog, err = parseUnixQueue(b)
		return err
	}); diagErr != nil {
		return 0, 0, diagErr
	}
	return queue, backlog, err
}

// diagTimeout bounds a read of the kernel's answer, which is there at once.
var diagTimeout = unix.Timeval{Sec: 1}

// diag sends one request of sock_diag(7) and calls each for every answer. With
// NLM_F_DUMP the answers end with NLMSG_DONE, with NLM_F_ACK by NLMSG_ERROR
// and the number 0.
func diag(req []byte, flags uint16, each func([]byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return noDiag(os.NewSyscallError("socket", err))
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &diagTimeout); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(req))
	order.PutUint32(msg, uint32(unix.NLMSG_HDRLEN+len(req)))
	order.PutUint16(msg[4:], sockDiagByFamily)
	order.PutUint16(msg[6:], unix.NLM_F_REQUEST|flags)
	if err := unix.Sendto(fd, append(msg, req...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return noDiag(os.NewSyscallError("sendto", err))
	}
	buf := make([]byte, 32<<10) // the kernel makes dumps of at most so much (netlink(7))
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return noDiag(os.NewSyscallError("recvfrom", err))
		}
		if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
			continue // not from the kernel
		}
		done, err := eachAnswer(buf[:n], each)
		if done || err != nil {
			return err
		}
	}
}

// eachAnswer takes one datagram apart and says whether it ends the answer.
func eachAnswer(b []byte, each func([]byte) error) (done bool, err error) {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true, os.NewSyscallError("netlink", err)
	}
	for _, m := range msgs {
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			// Both carry a negative errno, or 0: a dump that fails, for want of
			// tcp_diag say, is done with its error (netlink_dump in
			// net/netlink/af_netlink.c).
			if len(m.Data) < 4 {
				return true, errDiagMessage
			}
			if errno := int32(order.Uint32(m.Data)); errno < 0 {
				return true, noDiag(os.NewSyscallError("sock_diag", unix.Errno(-errno)))
			}
			return true, nil
		case sockDiagByFamily:
			if err := each(m.Data); err != nil {
				return true, err
			}
		}
	}
	return false, nil
}
