//go:build unix

package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hold marks a new file as one that somebody writes: flock(2) goes with the
// last descriptor, so at the death of the process at the latest. It says
// whether the file still has its name; from then on it keeps it.
func hold(f *os.File) (held bool, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var lock error
	if err := c.Control(func(fd uintptr) { lock = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return false, err
	}
	switch lock {
	case unix.EWOULDBLOCK:
		return false, nil
	case nil, unix.ENOTSUP, unix.ENOLCK, unix.ENOSYS: // a file system without: what is left there stays
	default:
		return false, os.NewSyscallError("flock", lock)
	}
	named, err := os.Lstat(f.Name())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(named, mine), err
}

// place gives a file that is on the disk its name, and closes it: in this
// order, since the lock goes with the descriptor.
func place(f *os.File, path string) error {
	return errors.Join(os.Rename(f.Name(), path), f.Close())
}

// sweep removes the new files of processes that died over them: those with the
// prefix, a number and the suffix. What cannot be removed stays: it is in
// nobody's way.
func sweep(folder, prefix, suffix string) {
	names, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, n := range names {
		number, begins := strings.CutPrefix(n.Name(), prefix)
		number, ends := strings.CutSuffix(number, suffix)
		if _, err := strconv.ParseUint(number, 10, 64); !begins || !ends || err != nil || !n.Type().IsRegular() {
			continue
		}
		path := filepath.Join(folder, n.Name())
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = unix.Close(fd)
	}
}

// syncFolder makes the renaming last.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
