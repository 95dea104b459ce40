package sockets

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// exclusive waits in Go's own poller through an entry with EPOLLEXCLUSIVE:
// the kernel wakes the first process in the queue that waits, and stops there.
// What keeps wake-ups from being lost is the order of steps: out of the queue
// first, then look at the connections, never the other way round.
type exclusive struct {
	deadliner
	raw    syscall.RawConn
	rotate bool // to the tail after each accept
	fair   *fairness

	mu     sync.Mutex
	entry  *entry
	queued bool          // guarded by mu: the entry is in the queue
	left   bool          // guarded by mu
	most   int           // guarded by mu: connections that may still be taken after Leave
	closed bool          // guarded by mu
	wake   chan struct{} // guarded by mu; closed by Leave and Close while Accept rests, else nil
}

func newExclusive(l deadliner, s Strategy, load func() (held, share int)) (*exclusive, error) {
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	x := &exclusive{deadliner: l, raw: raw}
	switch {
	case s == Rotate || s == Fair && load == nil:
		x.rotate = true
	case s == Fair:
		x.fair = &fairness{load: load}
	}
	var eerr error
	if err := raw.Control(func(fd uintptr) { x.entry, eerr = findEntry(int(fd)) }); err != nil {
		return nil, err
	}
	return x, eerr
}

func (x *exclusive) Accept() (net.Conn, error) {
	for {
		left, most, err := x.prepare()
		if err != nil {
			return nil, err
		}
		if left {
			return x.take(most)
		}
		c, err := x.deadliner.Accept()
		if err == nil {
			x.accepted()
			return c, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// prepare joins the queue if that has not been done, and says how Accept is to
// go on.
func (x *exclusive) prepare() (left bool, most int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.left && !x.queued && !x.closed {
		if err := x.entry.add(); err != nil {
			return false, 0, err
		}
		x.queued = true
	}
	return x.left, x.most, nil
}

// take returns one connection of those that this process may have been woken
// for before it left, or ErrLeft.
func (x *exclusive) take(most int) (c net.Conn, err error) {
	if most == 0 {
		return nil, ErrLeft
	}
	if cerr := x.raw.Control(func(fd uintptr) { c, err = takeOne(int(fd)) }); cerr != nil {
		return nil, cerr
	}
	if errors.Is(err, unix.EAGAIN) {
		return nil, ErrLeft
	}
	if err == nil {
		x.mu.Lock()
		if x.most > 0 {
			x.most--
		}
		x.mu.Unlock()
	}
	return c, err
}

// accepted moves this process to the queue's tail, if it is not to get the
// next connection too.
func (x *exclusive) accepted() {
	switch {
	case x.rotate:
		x.Sweep()
	case x.fair != nil && x.fair.over():
		x.rest()
	}
}

// rest stays out of the queue for a moment, so that others get what waits, and
// what comes: a process that has just run would win every race for it. What is
// left then is this one's: Accept joins anew, and looks at the connections.
func (x *exclusive) rest() {
	x.mu.Lock()
	if x.left || x.closed {
		x.mu.Unlock()
		return
	}
	x.leaveLocked()
	wake := make(chan struct{})
	x.wake = wake
	x.mu.Unlock()

	t := time.NewTimer(restTime)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.wake == wake {
		x.wake = nil
	}
	waiting := false
	_ = x.raw.Control(func(fd uintptr) { waiting = readable(int(fd)) }) // fails on a closed listener only
	x.fair.rested(waiting)
}

// readable says whether a connection waits in the queue.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

func (x *exclusive) wakeLocked() {
	if x.wake != nil {
		close(x.wake)
		x.wake = nil
	}
}

// Sweep leaves the queue and joins it at its tail, which looks at the
// connections as a side effect: epoll_ctl reports what is ready when it adds.
func (x *exclusive) Sweep() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.queued {
		// Both fail for a closed descriptor or without memory; an entry that
		// could not be added is added by the next Accept.
		_ = x.entry.remove()
		x.queued = x.entry.add() == nil
	}
}

// Leave: the deadline wakes a waiting Accept, which finds left set.
func (x *exclusive) Leave(most int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.leaveLocked()
	x.left, x.most = true, most
	x.wakeLocked()
	_ = x.SetDeadline(past) // fails on a closed listener only, whose Accept says so
}

func (x *exclusive) leaveLocked() {
	if x.queued {
		_ = x.entry.remove() // it is there, and the descriptor is open
		x.queued = false
	}
}

// Rejoin: the next Accept joins the queue.
func (x *exclusive) Rejoin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = false
	_ = x.SetDeadline(time.Time{})
}

func (x *exclusive) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return net.ErrClosed
	}
	// Explicitly: the registration lives as long as the description does, which
	// other processes keep open (epoll(7), question 6).
	x.leaveLocked()
	x.closed = true
	x.wakeLocked()
	return x.deadliner.Close()
}
