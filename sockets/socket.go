package sockets

import "errors"

// Sentinels that a caller branches on; all are wrapped.
var (
	// ErrInUse: the address has a live listener, or another process is about
	// to take a Unix path over. Trying again later may help.
	ErrInUse = errors.New("address in use")
	// ErrNoDiag: the kernel does not tell, since sock_diag(7) is not built in
	// or netlink is forbidden (RestrictAddressFamilies= of systemd.exec(5)).
	ErrNoDiag = errors.New("no socket diagnostics")
	// ErrAjar: the door lets one connection in at a time, as closing it needs
	// CAP_NET_ADMIN here. One that comes in the moment in which the last
	// process closes the socket is reset.
	ErrAjar = errors.New("door ajar: no CAP_NET_ADMIN for SO_ATTACH_FILTER, so the queue is cut to one connection")
	// ErrNotNamed: systemd has passed a socket that no wanted address names.
	ErrNotNamed = errors.New("is not named by any listen address")
	// ErrNeedsRestart: a socket that is still open is in the way, or an option
	// changed that only bind(2) takes.
	ErrNeedsRestart = errors.New("needs a restart")
)

// A Socket is a listening socket, as its owner sees it: a number and what is
// known about it. It belongs to one goroutine. (A Listener is the same thing as
// a Go worker sees it, which accepts from it.)
type Socket struct {
	FD      int    // -1 after Close
	Name    string // for LISTEN_FDNAMES: ?name=, or systemd's; "": the place in the list decides (Place.Name)
	Addr    Addr   // as bound: IP address, real port; Options are those in force
	Asked   Addr   // as configured: the identity over a reload; for a passed socket its systemd name, if it has one
	Adopted bool   // passed by systemd: never filtered, unlinked or shut down

	// Dev and Ino name the inode that bind(2) made at Addr.Path. They cannot be
	// taken by another file while any process has the socket open: the socket
	// holds a reference on its path (unix_bind_bsd of net/unix/af_unix.c).
	// Zero unless we bound a path.
	Dev, Ino uint64

	doorClosed bool // CloseDoor is done: a Unix path is gone for good
	ajar       bool // CloseDoor had to do without the filter
	shut       bool // Shutdown is done
}

// bindsPath says that the listener has a path that we made.
func (s *Socket) bindsPath() bool {
	return !s.Adopted && s.Addr.Network == NetworkUnix && !s.Addr.Abstract
}

// usable says that clients reach the listener, or will after OpenDoor.
func (s *Socket) usable() bool {
	return s.FD >= 0 && !s.shut && !(s.doorClosed && s.Addr.Network == NetworkUnix)
}
