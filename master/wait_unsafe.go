package master

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is the part of siginfo_t that waitid(2) fills in for a child, as
// asm-generic/siginfo.h lays it out on 64-bit Linux.
//
//	offset  width  meaning
//	0       4      si_signo: SIGCHLD, or 0 when no child is in the state asked for
//	4       4      si_errno
//	8       4      si_code
//	12      4      padding
//	16      4      si_pid
//	20      4      si_uid
//	24      4      si_status
type childInfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte
}

// The kernel writes a whole siginfo_t: 128 bytes.
var _ [unsafe.Sizeof(unix.Siginfo{})]byte = [unsafe.Sizeof(childInfo{})]byte{}

// peekChild gives the pid of a child that has ended and is not yet reaped, 0
// for none. The child stays a zombie, so that its pid stays taken.
func peekChild() (pid int, err error) {
	var info childInfo
	for {
		err = unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECHILD {
			return 0, nil
		}
		return int(info.pid), err
	}
}
