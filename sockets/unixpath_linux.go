package sockets

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

func listenAbstract(a Addr) (*Socket, error) {
	fd, err := open(unix.AF_UNIX, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + a.Path}); err != nil {
		_ = unix.Close(fd)
		if err == unix.EADDRINUSE {
			return nil, fmt.Errorf("%w: %w", ErrInUse, os.NewSyscallError("bind", err))
		}
		return nil, os.NewSyscallError("bind", err)
	}
	return start(fd, a, Addr{Network: NetworkUnix, Path: a.Path, Abstract: true})
}

// listenPath binds a path. The lock spans bind and listen: between the two a
// connect is refused, so that another starter would take the new socket for a
// stale one.
func listenPath(a Addr) (*Socket, error) {
	uid, gid, err := owners(a.Options)
	if err != nil {
		return nil, err
	}
	lock, err := lockPath(a.Path)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	if err := removeStale(a.Path); err != nil {
		return nil, err
	}
	fd, err := open(unix.AF_UNIX, 0)
	if err != nil {
		return nil, err
	}
	dev, ino, err := bindPath(fd, a.Path, a.Options.Mode)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	// From here on the path is ours to remove.
	undo := &Socket{FD: fd, Addr: Addr{Network: NetworkUnix, Path: a.Path}, Dev: dev, Ino: ino}
	if err := undo.setOwnerAndMode(uid, gid, a.Options.Mode); err != nil {
		_ = undo.Close()
		return nil, err
	}
	s, err := start(fd, a, undo.Addr)
	if err != nil {
		_ = undo.unlink()
		return nil, err
	}
	s.Dev, s.Ino = dev, ino
	return s, nil
}

// bindPath binds fd and returns the inode that bind made. The mode of the new
// file is that of the socket itself, narrowed by the umask (unix_bind_bsd in
// net/unix/af_unix.c), so that fchmod before bind leaves no moment in which
// the path is wider than asked, and the umask of the process, which other
// threads use, is not touched.
func bindPath(fd int, path string, mode uint32) (dev, ino uint64, err error) {
	if mode != 0 {
		if err := unix.Fchmod(fd, 0o600&mode); err != nil {
			return 0, 0, os.NewSyscallError("fchmod", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		if err == unix.EADDRINUSE { // made since removeStale looked, by one who does not take our lock
			return 0, 0, fmt.Errorf("%w: %w", ErrInUse, os.NewSyscallError("bind", err))
		}
		return 0, 0, os.NewSyscallError("bind", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, os.NewSyscallError("lstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		// Who owns the folder has exchanged it since: the next step would give
		// his file the socket's owner and mode.
		return 0, 0, errNotBound
	}
	return uint64(st.Dev), st.Ino, nil
}

// owners looks up the user and the group; -1 leaves one as it is.
func owners(o Options) (uid, gid int, err error) {
	uid, gid = -1, -1
	if o.User != "" {
		if uid, err = strconv.Atoi(o.User); err != nil {
			u, err := user.Lookup(o.User)
			if err != nil {
				return 0, 0, fmt.Errorf("user %s: %w", o.User, err)
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return 0, 0, fmt.Errorf("user %s: %w", o.User, err)
			}
		}
	}
	if o.Group != "" {
		if gid, err = strconv.Atoi(o.Group); err != nil {
			g, err := user.LookupGroup(o.Group)
			if err != nil {
				return 0, 0, fmt.Errorf("group %s: %w", o.Group, err)
			}
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return 0, 0, fmt.Errorf("group %s: %w", o.Group, err)
			}
		}
	}
	return uid, gid, nil
}

var errNotBound = errors.New("the path is no longer the socket that was bound")

// setOwnerAndMode changes the bound inode and nothing that may have taken its
// place: it holds the inode by O_PATH before it looks. The owner comes first,
// so that the mode never opens the path to the wrong group.
func (s *Socket) setOwnerAndMode(uid, gid int, mode uint32) error {
	if uid < 0 && gid < 0 && mode == 0 {
		return nil
	}
	fd, err := unix.Open(s.Addr.Path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if uint64(st.Dev) != s.Dev || st.Ino != s.Ino {
		return errNotBound
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			if err == unix.EPERM {
				return fmt.Errorf("giving the path to another user or group needs root or CAP_CHOWN: %w", os.NewSyscallError("fchownat", err))
			}
			return os.NewSyscallError("fchownat", err)
		}
	}
	if mode != 0 && st.Mode&0o7777 != mode {
		return chmodPath(fd, mode)
	}
	return nil
}

// chmodPath changes the mode behind an O_PATH descriptor: fchmodat2 is of Linux
// 6.6, before it the way leads through /proc.
func chmodPath(fd int, mode uint32) error {
	err := unix.Fchmodat(fd, "", mode, unix.AT_EMPTY_PATH)
	if err == unix.EOPNOTSUPP || err == unix.EPERM {
		// EPERM also where a seccomp profile does not know the call yet.
		err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	}
	return os.NewSyscallError("chmod", err)
}
