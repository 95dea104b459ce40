package sockets

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The messages of sock_diag(7), in host byte order but for ports and
// addresses. Sizes and offsets are those of linux/sock_diag.h,
// linux/inet_diag.h and linux/unix_diag.h, which are kernel interface.
//
//	inet_diag_req_v2, 56 bytes       unix_diag_req, 24 bytes
//	 0  1 family                      0  1 family
//	 1  1 protocol                    1  1 protocol
//	 2  1 ext                         2  2 pad
//	 3  1 pad                         4  4 states
//	 4  4 states                      8  4 inode
//	 8 48 inet_diag_sockid           12  4 show
//	                                 16  8 cookie
//	inet_diag_sockid, 48 bytes
//	 0  2 sport, network order       inet_diag_msg, 72 bytes
//	 2  2 dport                       0  1 family
//	 4 16 src, network order          1  1 state
//	20 16 dst                         2  2 timer, retrans
//	36  4 interface                   4 48 inet_diag_sockid
//	40  8 cookie                     52 20 expires, rqueue, wqueue, uid, inode
//
//	unix_diag_msg, 16 bytes: family 1, type 1, state 1, pad 1, inode 4, cookie 8;
//	attributes follow: length 2, type 2, value, padded to 4
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	tcpSynRecv       = 3  // TCP_SYN_RECV, net/tcp_states.h
	udiagShowRqlen   = 1 << 4
	unixDiagRqlen    = 4 // UNIX_DIAG_RQLEN: struct unix_diag_rqlen{rqueue, wqueue uint32}

	inetDiagMsgSize = 72
	unixDiagMsgSize = 16
	sockIDSize      = 48
)

var order = binary.NativeEndian

// errDiagMessage: an answer that is shorter than its own type.
var errDiagMessage = errors.New("sock_diag message is cut short")

// synRecvRequest asks for the handshakes on a port.
func synRecvRequest(family, protocol uint8, port uint16) []byte {
	b := make([]byte, 8+sockIDSize)
	b[0], b[1] = family, protocol
	order.PutUint32(b[4:], 1<<tcpSynRecv)
	binary.BigEndian.PutUint16(b[8:], port)
	return b
}

// A handshake is what synRecvRequest is answered with.
type handshake struct {
	state uint8
	port  uint16
	local netip.Addr
}

func parseHandshake(b []byte, v4 bool) (handshake, error) {
	if len(b) < inetDiagMsgSize {
		return handshake{}, errDiagMessage
	}
	id := b[4:]
	h := handshake{state: b[1], port: binary.BigEndian.Uint16(id)}
	if v4 {
		h.local = netip.AddrFrom4([4]byte(id[4:8]))
	} else {
		h.local = netip.AddrFrom16([16]byte(id[4:20])).Unmap()
	}
	return h, nil
}

// unixQueueRequest asks for the queue of the socket with an inode number.
func unixQueueRequest(family uint8, ino uint32) []byte {
	b := make([]byte, 24)
	b[0] = family
	order.PutUint32(b[4:], ^uint32(0))
	order.PutUint32(b[8:], ino)
	order.PutUint32(b[12:], udiagShowRqlen)
	order.PutUint64(b[16:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
	return b
}

// parseUnixQueue finds the queue's length and limit: on a listener rqueue and
// wqueue are these (sk_diag_show_rqlen in net/unix/diag.c).
func parseUnixQueue(b []byte) (queue, backlog int, err error) {
	if len(b) < unixDiagMsgSize {
		return 0, 0, errDiagMessage
	}
	for b = b[unixDiagMsgSize:]; len(b) >= 4; {
		size, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return 0, 0, errDiagMessage
		}
		if kind == unixDiagRqlen {
			if size < 12 {
				return 0, 0, errDiagMessage
			}
			return int(order.Uint32(b[4:])), int(order.Uint32(b[8:])), nil
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return 0, 0, errors.New("sock_diag message has no queue in it")
}
