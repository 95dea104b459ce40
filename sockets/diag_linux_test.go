package sockets_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// netlink is one message as the kernel frames it.
func netlink(kind uint16, data []byte) []byte {
	n := binary.NativeEndian
	b := n.AppendUint32(nil, uint32(16+len(data)))
	b = n.AppendUint16(b, kind)
	b = append(b, make([]byte, 10)...)
	return append(b, data...)
}

func errno(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-n)) }

func TestAnswersEndAsTheKernelEndsThem(t *testing.T) {
	const answer = 20 // SOCK_DIAG_BY_FAMILY
	fails := errors.New("from the caller")
	for _, tt := range []struct {
		name string
		b    []byte
		n    int // answers handed on
		done bool
		err  error
	}{
		{"two answers, more to come", append(netlink(answer, make([]byte, 4)), netlink(answer, nil)...), 2, false, nil},
		{"end of a dump", append(netlink(answer, nil), netlink(unix.NLMSG_DONE, errno(0))...), 1, true, nil},
		{"acknowledged", netlink(unix.NLMSG_ERROR, errno(0)), 0, true, nil},
		{"no tcp_diag", netlink(unix.NLMSG_DONE, errno(int32(unix.ENOENT))), 0, true, sockets.ErrNoDiag},
		{"no unix_diag", netlink(unix.NLMSG_ERROR, errno(int32(unix.ENOENT))), 0, true, sockets.ErrNoDiag},
		{"another error", netlink(unix.NLMSG_ERROR, errno(int32(unix.EINVAL))), 0, true, unix.EINVAL},
		{"the caller's error", netlink(answer, []byte("fail")), 1, true, fails},
		{"a kind that is not known", netlink(99, nil), 0, false, nil},
	} {
		n := 0
		done, err := sockets.EachAnswer(tt.b, func(b []byte) error {
			n++
			if string(b) == "fail" {
				return fails
			}
			return nil
		})
		if n != tt.n || done != tt.done || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d answers, done %t, %v", tt.name, n, done, err)
		}
	}
	for _, b := range [][]byte{netlink(unix.NLMSG_DONE, nil), netlink(unix.NLMSG_ERROR, []byte{1}), netlink(answer, nil)[:15]} {
		if done, err := sockets.EachAnswer(b, func([]byte) error { return nil }); len(b) >= 16 && (!done || err == nil) {
			t.Errorf("%x: done %t, %v", b, done, err)
		}
	}
}
