package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// Options of Open.
type Options struct {
	// ID is the process' id, which the master drew (PREFORK_ID). 0: one is
	// drawn here.
	ID uint64

	// Busy is called, when it is not nil, by an operation that gave up after
	// 250 ms because a process that lives held a shard's lock: the shard and
	// the id of the holder. The operation then returns ErrBusy. It is called
	// by any goroutine, and must not use the store.
	Busy func(shard int, id uint64)
}

// Open joins the store behind a descriptor, which stays the caller's and may
// be closed after it. The first Open of a pool reserves the memory:
// ErrNoMemory says that there is too little. An id that another living process
// has is an error.
//
// The process is known to live, by all others, for as long as it holds a lock
// that the kernel drops at its death: an OFD write lock (fcntl(2)) on the byte
// that its id numbers, on a file description of its own. On the inherited
// description it would stay as long as any process has that.
func Open(fd int, o Options) (*Embedded, error) {
	e, err := open(fd, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return e, nil
}

func open(fd int, o Options) (*Embedded, error) {
	s, err := shm.Open(fd, magic, 0)
	if err != nil {
		return nil, err
	}
	e, err := newEmbedded(s)
	if err != nil {
		return nil, errors.Join(err, s.Unmap())
	}
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("open /proc/self/fd", err), s.Unmap())
	}
	l := &liveness{fd: own}
	e.close = l.close
	e.alive = func(id uint64) bool { return id == e.id || l.alive(id) }
	e.onBusy = o.Busy
	id := o.ID
	if id == 0 {
		id = e.m.add(hNextID, 1) - 1
	}
	if err := claim(own, id); err != nil {
		return nil, errors.Join(err, e.close(), s.Unmap())
	}
	e.identify(id)
	if err := e.reserve(own); err != nil {
		return nil, errors.Join(err, e.close(), s.Unmap())
	}
	return e, nil
}

// byteOf gives the lock on the byte of an id.
func byteOf(kind int16, id uint64) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: int64(id), Len: 1}
}

func claim(fd int, id uint64) error {
	if id == 0 || id > math.MaxInt64-1 {
		return fmt.Errorf("id %d (want 1 to 2^63-2)", id)
	}
	err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, byteOf(unix.F_WRLCK, id))
	if err == unix.EAGAIN || err == unix.EACCES {
		return fmt.Errorf("id %d is another process': each needs its own", id)
	}
	return os.NewSyscallError("fcntl F_OFD_SETLK", err)
}

// liveness is the description that a view's own lock is on, and that it asks
// for those of others.
type liveness struct {
	mu sync.RWMutex // a number that is closed soon names another file
	fd int          // -1: closed
}

// alive says whether the process with an id lives. When it cannot be asked any
// more it does: nothing is taken from the living.
func (l *liveness) alive(id uint64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.fd < 0 || held(l.fd, id)
}

func (l *liveness) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := l.fd
	l.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// held asks the kernel whether another description has the byte of an id
// locked. When it cannot be asked the process counts as alive: nothing is
// taken from the living.
func held(fd int, id uint64) bool {
	if id == 0 || id > math.MaxInt64-1 {
		return false // no process has it
	}
	lock := byteOf(unix.F_WRLCK, id)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, lock); err != nil {
		return true
	}
	return lock.Type != unix.F_UNLCK
}
