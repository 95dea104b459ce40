package control

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// PeerPID is the pid of the master at the other end, as this process' pid
// namespace sees it; 0 when it does not (SO_PEERCRED, socket(7)).
func (c *Client) PeerPID() (int, error) {
	u, ok := c.conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("peer of a connection that is no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if inner != nil {
		return 0, inner
	}
	return int(cred.Pid), nil
}
