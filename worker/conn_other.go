//go:build !linux

package worker

import "syscall"

type syscallConn = syscall.Conn

// unread is not asked outside Linux: a worker there serves alone, and a
// connection that was idle for the linger is taken to have nothing unread.
func (c *conn) unread() int { return 0 }
