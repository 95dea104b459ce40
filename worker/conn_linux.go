package worker

import (
	"syscall"

	"golang.org/x/sys/unix"
)

type syscallConn = syscall.Conn

// unread gives the bytes in the receive queue that nobody has read: FIONREAD
// of tcp(7) and unix(7).
func (c *conn) unread() int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	if err := raw.Control(func(fd uintptr) {
		if got, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
			n = got
		}
	}); err != nil {
		return 0
	}
	return n
}
