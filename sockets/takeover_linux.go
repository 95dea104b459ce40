package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A pathLock serialises the starters of one Unix path: two that both find a
// stale socket would else remove each other's new one. It is flock(2) on
// PATH.lock, which only the same user can open, and which is gone afterwards.
type pathLock struct {
	fd   int
	path string
}

// lockTries bounds how often a lock file is found removed by its last holder.
const lockTries = 100

// lockPath does not wait: a lock that is held is ErrInUse.
func lockPath(path string) (*pathLock, error) {
	name := path + ".lock"
	for range lockTries {
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
		if err == unix.ENOENT {
			return nil, fmt.Errorf("folder %s: %w", filepath.Dir(path), err)
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		ours, err := lockOpened(fd, name)
		if ours {
			return &pathLock{fd, name}, nil
		}
		_ = unix.Close(fd)
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %s is locked and removed over and over", ErrInUse, name)
}

// lockOpened takes the lock and says whether the file is still the one of that
// name: a holder removes it before it lets go.
func lockOpened(fd int, name string) (ours bool, err error) {
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if err == unix.EWOULDBLOCK {
			return false, fmt.Errorf("%w: another process is starting there (%s is locked)", ErrInUse, name)
		}
		return false, os.NewSyscallError("flock", err)
	}
	var held, there unix.Stat_t
	if err := unix.Fstat(fd, &held); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	if held.Mode&unix.S_IFMT != unix.S_IFREG || int(held.Uid) != os.Geteuid() {
		return false, fmt.Errorf("%s is not a file of ours: want it removed", name)
	}
	if err := unix.Lstat(name, &there); err != nil {
		if err == unix.ENOENT {
			return false, nil
		}
		return false, os.NewSyscallError("lstat", err)
	}
	return held.Dev == there.Dev && held.Ino == there.Ino, nil
}

// Lock keeps other starters away from a Unix path that the caller looks at and
// binds itself, as Listen does for its own. It does not wait: a lock that is
// held is ErrInUse.
func Lock(path string) (release func(), err error) {
	l, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func (l *pathLock) release() {
	_ = unix.Unlink(l.path) // before the lock goes, so that nobody locks a file that is about to vanish
	_ = unix.Close(l.fd)
}

// removeStale makes room at path if what is there is a socket that nobody
// listens on. Preconditions: the caller holds the path's lock.
func removeStale(path string) error {
	var before unix.Stat_t
	if err := unix.Lstat(path, &before); err != nil {
		if err == unix.ENOENT {
			return nil
		}
		return os.NewSyscallError("lstat", err)
	}
	if kind := before.Mode & unix.S_IFMT; kind != unix.S_IFSOCK {
		return fmt.Errorf("%s is in the way: want a free path, or one with a socket that nobody listens on", fileKind(kind))
	}
	live, err := isLive(path)
	if err != nil {
		return err
	}
	if live {
		return fmt.Errorf("%w: a process listens there", ErrInUse)
	}
	// A process that does not take our lock may have put its own socket there
	// since.
	var after unix.Stat_t
	if err := unix.Lstat(path, &after); err != nil {
		if err == unix.ENOENT {
			return nil
		}
		return os.NewSyscallError("lstat", err)
	}
	if before.Dev != after.Dev || before.Ino != after.Ino {
		return fmt.Errorf("%w: another process is starting there", ErrInUse)
	}
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return fmt.Errorf("remove the stale socket: %w", os.NewSyscallError("unlink", err))
	}
	return nil
}

// isLive connects to path. Only ECONNREFUSED says that nobody listens
// (unix(7)); a full backlog (EAGAIN) or a socket of another type (EPROTOTYPE)
// says the opposite.
func isLive(path string) (bool, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch {
	case err == nil, err == unix.EAGAIN, err == unix.EPROTOTYPE:
		return true, nil
	case err == unix.ECONNREFUSED, err == unix.ENOENT:
		return false, nil
	}
	return false, fmt.Errorf("ask whether a process listens there: %w", os.NewSyscallError("connect", err))
}

func fileKind(kind uint32) string {
	switch kind {
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFIFO:
		return "a named pipe"
	}
	return "a device"
}

// stillBound says that the path is the inode that bind made. While the socket
// is open no other file can have its number, see Socket.Ino.
func (s *Socket) stillBound() (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(s.Addr.Path, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) || err == unix.ENOTDIR {
			return false, nil
		}
		return false, &fs.PathError{Op: "lstat", Path: s.Addr.Path, Err: err}
	}
	return uint64(st.Dev) == s.Dev && st.Ino == s.Ino, nil
}

// unlink removes the path if it is still ours. Nobody replaces it between the
// two calls: whoever takes our lock finds the socket live, as it is open.
func (s *Socket) unlink() error {
	ours, err := s.stillBound()
	if err != nil || !ours {
		return err
	}
	if err := unix.Unlink(s.Addr.Path); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "unlink", Path: s.Addr.Path, Err: err}
	}
	return nil
}
