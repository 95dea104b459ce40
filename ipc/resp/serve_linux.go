package resp

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
)

// Serve serves a store on a listening Unix socket until ctx ends: then it takes
// no more clients, executes what it has read, sends the replies and returns
// nil. The caller keeps the listener, on which O_NONBLOCK is set, and closes it
// and the store.
func Serve(ctx context.Context, listener int, s store.Store, o Options) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := newLoop(ctx, listener, s, o)
	if err != nil {
		return fmt.Errorf("serve the store: %w", err)
	}
	defer l.close()
	woken := make(chan struct{})
	wake := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(l.wake, binary.NativeEndian.AppendUint64(nil, 1))
		close(woken)
	})
	defer func() {
		if !wake() {
			<-woken // the descriptor is closed after it
		}
	}()
	if err := l.run(); err != nil {
		return fmt.Errorf("serve the store: %w", err)
	}
	return nil
}

// loop is the server and its sockets.
type loop struct {
	*server
	epoll, wake, listener int

	accepting bool // the listener is in epoll
	stopping  time.Time
	swept     time.Time
	conns     []*conn // by descriptor
	queue     []*conn // with something to do that no event will tell of
	turn      []*conn // the queue of this turn
	lingering int     // conns that linger
	spare     [][]byte
	read      [readSize]byte
	events    [128]unix.EpollEvent
}

// conn is a client's socket and its buffers, which are nil while it is idle.
type conn struct {
	*client
	in      []byte // read, not executed
	out     []byte // written by us, not read by the client
	sent    int    // of out
	events  uint32 // what epoll watches for
	queued  bool
	lingers bool // closing, and its replies wait
	ended   bool // the client has sent all that it will
}

func newLoop(ctx context.Context, listener int, s store.Store, o Options) (*loop, error) {
	l := &loop{server: newServer(ctx, s, o), epoll: -1, wake: -1, listener: listener}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < uint64(l.o.MaxClients)+spareFDs {
		l.o.MaxClients = max(1, int(limit.Cur)-spareFDs)
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		l.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := unix.SetNonblock(listener, true); err != nil {
		l.close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	for _, fd := range []int{l.wake, listener} {
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			l.close()
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
	}
	l.accepting = true
	return l, nil
}

// spareFDs are descriptors that clients never get.
const spareFDs = 32

func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			l.drop(c)
		}
	}
	for _, fd := range []int{l.epoll, l.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// run is the loop: events, then the queue, then what time asks for.
func (l *loop) run() error {
	for {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.timeout())
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		l.wall = time.Now()
		for _, e := range l.events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case l.listener:
				err = l.accept()
			case l.wake:
				l.stop()
			default:
				if c := l.conns[fd]; c != nil {
					l.event(c, e.Events)
				}
			}
			if err != nil && err != unix.EINTR {
				return err
			}
		}
		l.turn, l.queue = l.queue, l.turn[:0]
		for _, c := range l.turn {
			c.queued = false
			l.work(c)
		}
		l.sweep()
		if !l.stopping.IsZero() && len(l.clients) == 0 {
			return nil
		}
	}
}

// timeout gives the time that epoll may wait, in milliseconds: without a queue
// for ever, unless something is due without an event.
func (l *loop) timeout() int {
	switch {
	case len(l.queue) > 0:
		for _, c := range l.queue {
			if !c.parked {
				return 0
			}
		}
		return 5
	case !l.stopping.IsZero():
		return 10
	case !l.accepting:
		return 100
	case len(l.clients) > 0 && (l.o.Idle > 0 || l.lingering > 0):
		return int(min(max(l.o.Idle/4, 10*time.Millisecond), time.Second) / time.Millisecond)
	}
	return -1
}

// stop begins the end.
func (l *loop) stop() {
	if !l.stopping.IsZero() {
		return
	}
	l.stopping = time.Now().Add(l.o.Drain)
	l.pause()
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.wake, nil)
	for _, c := range l.conns {
		if c != nil {
			c.ended = true
			l.watch(c)
			l.enqueue(c)
		}
	}
}

// linger is how long a client may take to read its last replies.
const linger = 5 * time.Second

// sweep does what time asks for: clients that were silent for too long, the
// end of the drain, a listener that was paused.
func (l *loop) sweep() {
	if l.stopping.IsZero() && l.accepting && l.o.Idle == 0 && l.lingering == 0 {
		return
	}
	now := l.wall
	if now.Sub(l.swept) < 10*time.Millisecond {
		return
	}
	l.swept = now
	l.resume()
	if !l.stopping.IsZero() && now.Before(l.stopping) {
		return
	}
	for _, c := range l.conns {
		switch {
		case c == nil:
		case !l.stopping.IsZero():
			l.drop(c)
		case c.closing && now.Sub(c.last) > linger:
			l.drop(c)
		case l.o.Idle > 0 && now.Sub(c.last) > l.o.Idle:
			l.drop(c)
		}
	}
}
