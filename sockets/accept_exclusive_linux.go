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

func newExclusive(l deadliner, s Strategy, held, share func() int) (*exclusive, error) {
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	x := &exclusive{deadliner: l, raw: raw}
	switch {
	case s == Rotate || s == Fair && (held == nil || share == nil):
		x.rotate = true
	case s == Fair:
		x.fair = &fairness{held: held, share: share}
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

// takeTime bounds how long take waits for a connection that was there, and
// that another process was faster to accept.
const takeTime = 20 * time.Millisecond

// take returns one connection of those that this process may have been woken
// for before it left, or ErrLeft.
func (x *exclusive) take(most int) (net.Conn, error) {
	for most != 0 && x.waiting() {
		// Go's Accept asks the kernel first and waits then, for the deadline
		// alone since nothing wakes it.
		if err := x.SetDeadline(time.Now().Add(takeTime)); err != nil {
			return nil, err
		}
		c, err := x.deadliner.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
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
	return nil, ErrLeft
}

// waiting says whether a connection waits in the queue.
func (x *exclusive) waiting() bool {
	n := 0
	// Both fail for a closed listener only, where nothing waits.
	_ = x.raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return n > 0
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
	x.fair.rested(x.waiting())
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
