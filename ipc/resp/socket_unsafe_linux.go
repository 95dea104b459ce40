package resp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// receive and send are recv(2) and send(2) without what read(2) and write(2) do
// for files of other kinds: 8 % of the two for a small command and its reply.
//
// They do not tell the scheduler, which would be another 4 %, and which takes
// the P of a thread that the kernel has descheduled in the middle of a call.
// That is sound for a call that does not wait, as MSG_DONTWAIT says whatever
// the descriptor's flags: the collector waits for it no longer than for a
// thread that meets a page fault. A peer that is gone is EPIPE and no SIGPIPE.

// receive reads what a socket has. Nothing and no error: there will be no more.
// Preconditions: there is room in b.
func receive(fd int, b []byte) (n int, err error) {
	return result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT, 0, 0))
}

// send writes as much as a socket takes.
func send(fd int, b []byte) (n int, err error) {
	return result(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0))
}

func result(n, _ uintptr, e unix.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
