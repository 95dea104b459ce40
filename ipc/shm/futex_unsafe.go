//go:build linux

package shm

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2). FUTEX_PRIVATE_FLAG stays off: the word is shared by
// processes.
const (
	futexWait = 0
	futexWake = 1
)

// Wait blocks while the low half of the word is that of value, until somebody
// calls Wake, and no longer than timeout. It may return early: the caller
// looks at the word again. It holds a thread while it waits.
func Wait(word *atomic.Uint64, value uint64, timeout time.Duration) {
	limit := unix.NsecToTimespec(int64(timeout))
	// EAGAIN, EINTR and ETIMEDOUT all mean: look again.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(lowHalf(word)), futexWait, uintptr(uint32(value)), uintptr(unsafe.Pointer(&limit)), 0, 0)
}

// Wake wakes up to n of those that wait on the word.
func Wake(word *atomic.Uint64, n int) {
	_, _, _ = unix.Syscall(unix.SYS_FUTEX, uintptr(lowHalf(word)), futexWake, uintptr(n)) // nothing of it can fail
}

// bigEndian is where the low half of a word stands second.
var bigEndian = func() bool {
	word := uint64(1)
	return *(*byte)(unsafe.Pointer(&word)) == 0
}()

// lowHalf is the address of the 32 bits that a futex compares. The segment's
// memory does not move: it is mapped, or a large object of the Go heap.
func lowHalf(word *atomic.Uint64) unsafe.Pointer {
	if bigEndian {
		return unsafe.Add(unsafe.Pointer(word), 4)
	}
	return unsafe.Pointer(word)
}
