package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// retryEvery is how often a connect to a full Unix socket is tried again.
	retryEvery = time.Millisecond
	// tick is how often timeouts are looked at.
	tick = 20 * time.Millisecond
)

// loop is the one thread that does all: an epoll over all connections. Its
// fields belong to its goroutine, apart from those that say otherwise.
type loop struct {
	config   Config
	target   target
	requests [2][]byte
	epoll    int
	timer    int // a timerfd: arrivals of the open loop

	ringing sync.Mutex
	bell    int // guarded by ringing outside the loop; an eventfd that ends it

	begin   time.Time     // immutable
	cpu     time.Duration // of the thread when the loop began
	clients []client
	free    [2][]*client // idle ones, by mode
	next    [2]int64     // open loop: number of the next arrival, by mode
	gap     [2]float64   // open loop: ns between arrivals, by mode
	armed   int64        // what the timer is set to
	ending  bool         // nothing new is sent
	buf     [64 << 10]byte
	result  Result
	workers map[string]*workerCount

	requestsDone, requestsFailed atomic.Int64 // for any goroutine
}

// tokens of the epoll that are no client.
const (
	timerToken = -1
	bellToken  = -2
)

func newLoop(c Config) (_ *loop, err error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	l := &loop{config: c, epoll: -1, timer: -1, bell: -1, workers: make(map[string]*workerCount)}
	if l.target, err = parseTarget(c.Target); err != nil {
		return nil, err
	}
	l.requests[Fresh], l.requests[Kept] = c.requests()
	l.result.ByKind, l.result.ByPhase = make(map[Kind]int64), make(map[Phase]int64)
	if err := l.open(); err != nil {
		l.closeAll()
		return nil, err
	}
	l.clients = make([]client, c.Fresh+c.Kept)
	for i := range l.clients {
		mode := Fresh
		if i >= c.Fresh {
			mode = Kept
		}
		l.clients[i] = client{number: i, mode: mode, fd: -1, answer: answer{workerHeader: c.WorkerHeader, want: c.Want}}
		l.free[mode] = append(l.free[mode], &l.clients[i])
	}
	if c.Rate > 0 {
		// Each mode has its share of the rate, as of the clients.
		for mode, free := range l.free {
			if len(free) > 0 {
				l.gap[mode] = 1e9 / (c.Rate * float64(len(free)) / float64(len(l.clients)))
			}
		}
	}
	return l, nil
}

func (l *loop) open() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	for token, fd := range map[int32]int{timerToken: l.timer, bellToken: l.bell} {
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: token}); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

func (l *loop) closeAll() {
	for i := range l.clients {
		l.close(&l.clients[i])
	}
	l.ringing.Lock()
	defer l.ringing.Unlock()
	for _, fd := range []*int{&l.epoll, &l.timer, &l.bell} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
		}
		*fd = -1
	}
}

// run goes on until the bell has rung and every request has ended.
func (l *loop) run() error {
	runtime.LockOSThread() // one thread: the scheduler has nothing to hand over
	defer runtime.UnlockOSThread()
	l.cpu = threadCPU()
	defer l.closeAll()
	defer l.finish()
	events := make([]unix.EpollEvent, 256)
	looked := l.now()
	for {
		now := l.now()
		if !l.ending {
			l.startDue(now)
		} else if l.atRest() {
			return nil
		}
		n, err := unix.EpollWait(l.epoll, events, l.patience(now))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("load: %w", os.NewSyscallError("epoll_wait", err))
		}
		for _, e := range events[:max(n, 0)] {
			switch e.Fd {
			case timerToken:
				var count [8]byte
				_, _ = unix.Read(l.timer, count[:])
				l.armed = 0
			case bellToken:
				var count [8]byte
				_, _ = unix.Read(l.bell, count[:])
				l.ending = true
			default:
				l.ready(&l.clients[e.Fd])
			}
		}
		if now = l.now(); now-looked >= int64(retryEvery) {
			looked = now
			l.lookAtTimes(now)
		}
	}
}

// patience is how long epoll_wait may wait, in milliseconds.
func (l *loop) patience(now int64) int {
	wait := int64(tick)
	for i := range l.clients {
		if c := &l.clients[i]; c.phase == retrying || c.phase == resting {
			wait = min(wait, c.wake-now)
		}
	}
	return int(max(0, (wait+int64(time.Millisecond)-1)/int64(time.Millisecond)))
}

// lookAtTimes wakes who rests, and ends what takes too long.
func (l *loop) lookAtTimes(now int64) {
	for i := range l.clients {
		c := &l.clients[i]
		switch {
		case c.phase == idle:
		case c.phase == resting:
			if now >= c.wake {
				l.rest(c, 0)
			}
		case now-c.sent >= int64(l.config.Timeout):
			l.failed(c, TimedOut, fmt.Sprintf("not complete after %v", l.config.Timeout))
		case c.phase == retrying && now >= c.wake:
			l.connect(c)
		}
	}
}

// rest makes a client free for the next request, after a pause.
func (l *loop) rest(c *client, pause int64) {
	if pause > 0 && l.config.Rate == 0 {
		c.phase, c.wake = resting, l.now()+pause
		return
	}
	c.phase = idle
	l.free[c.mode] = append(l.free[c.mode], c)
}

// startDue gives free clients their next requests.
func (l *loop) startDue(now int64) {
	soonest := int64(0)
	for mode := range l.free {
		// Each round starts what is free now: a request that fails at once
		// frees its client for the next round, not for this one.
		for range len(l.free[mode]) {
			due := now
			if l.config.Rate > 0 {
				if due = int64(float64(l.next[mode]) * l.gap[mode]); due > now {
					if soonest == 0 || due < soonest {
						soonest = due
					}
					break
				}
				l.next[mode]++
			}
			c := l.free[mode][0]
			l.free[mode] = l.free[mode][1:]
			l.start(c, due)
		}
	}
	if soonest != 0 && soonest != l.armed {
		l.armed = soonest
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, soonest-l.now()))}
		if err := unix.TimerfdSettime(l.timer, 0, &spec, nil); err != nil {
			panic(fmt.Sprintf("load: timerfd_settime: %v", err)) // arguments are right
		}
	}
}

func (l *loop) atRest() bool {
	for i := range l.clients {
		if p := l.clients[i].phase; p != idle && p != resting {
			return false
		}
	}
	return true
}

// now is the time since the loop began, in nanoseconds.
func (l *loop) now() int64 { return int64(time.Since(l.begin)) }

// ring tells the loop to end. It may be called by any goroutine, while the
// loop runs or after.
func (l *loop) ring() {
	l.ringing.Lock()
	defer l.ringing.Unlock()
	if l.bell >= 0 {
		// The counter of an eventfd takes it, whatever it holds.
		_, _ = unix.Write(l.bell, binary.NativeEndian.AppendUint64(nil, 1))
	}
}
