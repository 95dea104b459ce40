package notify

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Errors of Receive that a caller tells apart.
var (
	// ErrTruncated says that a datagram, or what came with it, was longer
	// than the room for it. It counts for nothing; the next one may be read.
	ErrTruncated = errors.New("notify: message truncated")
	// ErrAbused says that the worker went on sending descriptors that are no
	// barrier. The socket is good for nothing more: close it.
	ErrAbused = errors.New("notify: too many descriptors sent")
)

// maxForeign is how many messages may bring something else than a pipe.
const maxForeign = 8

// Socket is the master's end of one worker's notify socket. Its methods are
// for one goroutine at a time.
//
// It accepts descriptors and closes them, although it needs none and Linux
// 6.16 could refuse them (SO_PASSRIGHTS): `systemd-notify --ready` and
// sd_notify_barrier(3) would fail with EPERM.
type Socket struct {
	Path string // immutable
	FD   int    // for poll; owned by the Socket, until Close

	dev, ino uint64     // of the path when it was bound
	foreign  int        // messages with descriptors that are no pipe
	oob      [1280]byte // room for SCM_MAX_FD descriptors, 253 (unix(7)): none can be cut off
}

// Listen binds a new socket at path, with mode 0666 whatever the umask is: a
// worker may have dropped its privileges before it sends. It is never wider
// than that: the mode is set before bind(2), which only takes the umask away,
// and completed after. What protects it is the folder, which must be the
// master's own.
func Listen(path string) (*Socket, error) {
	s, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("listen notify %s: %w", path, err)
	}
	return s, nil
}

func listen(path string) (_ *Socket, err error) {
	if path == "" || path[0] != '/' {
		return nil, errors.New("want an absolute path")
	}
	if err := checkAddress(path); err != nil {
		return nil, err
	}
	fd, err := socket()
	if err != nil {
		return nil, err
	}
	s := &Socket{Path: path, FD: fd}
	bound := false
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			if bound {
				_ = unix.Unlink(path)
			}
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt SO_PASSCRED", err)
	}
	if err := unix.Fchmod(fd, 0o666); err != nil {
		return nil, os.NewSyscallError("fchmod", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	bound = true
	return s, s.open()
}

// open gives the bound path its full mode, through a descriptor of the inode
// itself: chmod(2) would follow a link that was put there meanwhile.
func (s *Socket) open() error {
	at, err := unix.Open(s.Path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(at) }()
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("not a socket any more")
	}
	s.dev, s.ino = uint64(st.Dev), st.Ino
	if st.Mode&0o777 == 0o666 {
		return nil
	}
	// fchmod(2) takes no O_PATH descriptor; its name in /proc does.
	return os.NewSyscallError("chmod", unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", at), 0o666))
}

// Receive reads one datagram and never waits: unix.EAGAIN says that there is
// none. cred is what the kernel says of the sender; its Pid is 0 for one of a
// process namespace that the master does not see.
func (s *Socket) Receive(buf []byte) (n int, cred unix.Ucred, err error) {
	if s.foreign > maxForeign {
		return 0, cred, ErrAbused
	}
	var oobn, flags int
	for {
		n, oobn, flags, _, err = unix.Recvmsg(s.FD, buf, s.oob[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EAGAIN {
		return 0, cred, unix.EAGAIN
	}
	if err != nil {
		return 0, cred, fmt.Errorf("receive notify at %s: %w", s.Path, os.NewSyscallError("recvmsg", err))
	}
	cred, known, err := s.ancillary(s.oob[:oobn])
	switch {
	case err != nil:
		return n, cred, fmt.Errorf("receive notify at %s: %w", s.Path, err)
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return n, cred, fmt.Errorf("receive notify at %s: %w", s.Path, ErrTruncated)
	case !known:
		return n, cred, fmt.Errorf("receive notify at %s: no credentials", s.Path)
	}
	return n, cred, nil
}

// ancillary closes every descriptor that came, and gives the credentials.
func (s *Socket) ancillary(oob []byte) (cred unix.Ucred, known bool, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return cred, false, err
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			s.discard(fds)
		} else if c, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			cred, known = *c, true
		}
	}
	return cred, known, nil
}

// discard closes descriptors that a worker sent. Closing a pipe, which a
// barrier is, never waits. Closing another thing may, for as long as its maker
// likes (a socket that lingers, a file of a file system in user space), so it
// happens aside, and only maxForeign times.
func (s *Socket) discard(fds []int) {
	aside := fds[:0]
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil {
			_ = unix.Close(fd)
		} else {
			aside = append(aside, fd)
		}
	}
	if len(aside) == 0 {
		return
	}
	s.foreign++
	go func() {
		for _, fd := range aside {
			_ = unix.Close(fd)
		}
	}()
}

// Close closes the socket, and unlinks its path when it still is the one that
// was bound.
func (s *Socket) Close() error {
	if s == nil || s.FD < 0 {
		return nil
	}
	err := closeSocket(s.FD)
	s.FD = -1
	var st unix.Stat_t
	if unix.Lstat(s.Path, &st) == nil && uint64(st.Dev) == s.dev && st.Ino == s.ino {
		if gone := unix.Unlink(s.Path); gone != nil && gone != unix.ENOENT {
			err = errors.Join(err, fmt.Errorf("unlink %s: %w", s.Path, gone))
		}
	}
	return err
}
