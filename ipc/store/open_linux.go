package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// Create makes an empty store and gives its descriptor (CLOEXEC), for workers
// to inherit. The caller owns it and closes it; the store lives as long as
// anybody has it.
func Create() (fd int, err error) {
	s, err := shm.Create("store", magic, segmentSize)
	if err != nil {
		return -1, fmt.Errorf("create store: %w", err)
	}
	fd = s.FD()
	if err := s.Unmap(); err != nil {
		return -1, errors.Join(fmt.Errorf("create store: %w", err), s.Close())
	}
	return fd, nil
}

// Open joins the store behind a descriptor, which stays the caller's and may
// be closed after it.
func Open(fd int) (*Embedded, error) {
	segment, err := shm.Open(fd, magic, segmentSize)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := openLock(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), segment.Unmap())
	}
	return &Embedded{segment: segment, lock: lock}, nil
}

// fileLock is a lock between processes: an OFD write lock (fcntl(2)) on a file
// description of this process alone. The kernel drops it when the last
// descriptor of that description is closed, so at death at the latest. On the
// inherited description it would stay held as long as any process has that.
type fileLock int

// noLock is the lock of a private store.
const noLock fileLock = -1

func openLock(fd int) (fileLock, error) {
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return noLock, os.NewSyscallError("open /proc/self/fd", err)
	}
	return fileLock(own), nil
}

func (l fileLock) acquire() error { return l.set(unix.F_WRLCK) }
func (l fileLock) release() error { return l.set(unix.F_UNLCK) }

func (l fileLock) set(kind int16) error {
	if l == noLock {
		return nil
	}
	for {
		err := unix.FcntlFlock(uintptr(l), unix.F_OFD_SETLKW, &unix.Flock_t{Type: kind})
		if err != unix.EINTR {
			return os.NewSyscallError("fcntl F_OFD_SETLKW", err)
		}
	}
}

func (l fileLock) close() error {
	if l == noLock {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(int(l)))
}

// boottime is CLOCK_BOOTTIME in nanoseconds: it goes on while the machine is
// suspended, and nobody sets it.
func boottime() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic("store: clock_gettime: " + err.Error()) // the clock is always there
	}
	return now.Nano()
}
