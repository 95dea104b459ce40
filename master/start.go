package master

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/scoreboard"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

// bindPatience is how long a start waits for an address that is in use: the
// draining workers of a killed master still hold it.
const bindPatience = 5 * time.Second

// bindEvery is the pause between two tries. It is a wait for another
// program's exit, which the kernel gives no event for.
const bindEvery = 50 * time.Millisecond

// barrierPatience bounds the wait until systemd has read the last messages.
const barrierPatience = 500 * time.Millisecond

// DefaultListen is the address where neither the configuration nor systemd
// gives one.
const DefaultListen = "127.0.0.1:8080"

// open takes everything that a run needs, in an order in which a refusal
// leaves nothing behind: first the control socket (is there another master?),
// then the listeners. It gives the exit code of its error.
func (m *master) open() (code int, err error) {
	m.memoryQuiet()
	spareThreads(8)
	m.procs, m.helpers, m.fresh = map[pool.ID]*proc{}, map[pool.ID]*proc{}, map[pool.ID]*proc{}
	m.pids, m.gens = map[int]*proc{}, map[int]*generation{}
	m.inbox, m.calls, m.readings = newInbox(), make(chan *call), make(chan reading, 1)
	for _, entry := range os.Environ() {
		if !ownVariable(entry) {
			m.env = append(m.env, entry)
		}
	}
	if m.up, err = openUpward(); err != nil {
		m.log.Warn("nobody is told of readiness", "error", err)
	}
	if m.devnull, err = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return ExitRuntime, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	if err := m.openControl(); err != nil {
		return ExitRuntime, err
	}
	if err := m.store.open(m.cfg.Store, m.control); err != nil {
		return ExitRuntime, fmt.Errorf("store of %s: %w", m.cfg.Store, explainSize(err))
	}
	if m.sockets, err = sockets.Passed(); err != nil {
		return ExitRuntime, err
	}
	if err := sockets.Unset(); err != nil {
		return ExitRuntime, err
	}
	w, err := look(m.cfg)
	if err != nil {
		return m.startCode(err), err
	}
	g, err := m.prepare(1, w)
	if err != nil {
		return m.startCode(err), err
	}
	m.gens[1], m.running = g, g
	if m.board, err = scoreboard.Create(); err != nil {
		return ExitRuntime, err
	}
	if m.poll, err = newPoller(); err != nil {
		return ExitRuntime, err
	}
	if err := m.folder.open(m.control); err != nil {
		return ExitRuntime, err
	}
	if n, err := sockets.Overflows(); err == nil {
		m.overflow0 = n
	}
	m.server.serve(m.calls)
	return 0, nil
}

// spareThreads makes the runtime have n threads more than it needs now, parked.
// It ends the process when it needs another one and RLIMIT_NPROC or a cgroup
// refuses it (runtime/os_linux.go, newosproc), and it never gives one back:
// what a busy moment will need is taken while it can be had.
func spareThreads(n int) {
	var locked, done sync.WaitGroup
	release := make(chan struct{})
	for range n {
		locked.Add(1)
		done.Go(func() {
			runtime.LockOSThread() // a thread of its own, while all wait
			defer runtime.UnlockOSThread()
			locked.Done()
			<-release
		})
	}
	locked.Wait()
	close(release)
	done.Wait()
}

// startCode: what the file says wrongly is 4, what flags and variables say is
// 2, but a passed socket that they leave out is 4: it is the unit and they that
// do not go together; an address that cannot be had is the machine's state, 1.
func (m *master) startCode(err error) int {
	switch {
	case errors.Is(err, errStopped):
		return ExitStopped
	case errors.Is(err, sockets.ErrNotNamed):
		return ExitConfig
	}
	if errors.Is(err, sockets.ErrInUse) {
		return ExitRuntime
	}
	var no unix.Errno
	if errors.As(err, &no) {
		return ExitRuntime
	}
	var about *keyError
	if errors.As(err, &about) && m.cfg.InFile(about.key) {
		return ExitConfig
	}
	return ExitUsage
}

// errStopped: a signal to stop came before there was anything to stop.
var errStopped = errors.New("stopped while waiting for the address")

// listen binds an address; at the start it waits for one in use, in a reload
// it does not: the loop must go on.
func (m *master) listen(a sockets.Addr) (*sockets.Socket, error) {
	s, err := sockets.Listen(a)
	if m.running != nil || !errors.Is(err, sockets.ErrInUse) {
		return s, err
	}
	m.log.Info("address in use, trying again", "address", a.String(), "for", short(bindPatience))
	tick := time.NewTicker(bindEvery)
	defer tick.Stop()
	for limit := time.After(bindPatience); errors.Is(err, sockets.ErrInUse); {
		select {
		case <-tick.C:
			s, err = sockets.Listen(a)
		case <-m.sig.end:
			return nil, fmt.Errorf("listen %s: %w", a.String(), errStopped)
		case <-limit:
			return nil, err
		}
	}
	return s, err
}

// close gives everything back. The workers have ended, or were never started.
func (m *master) close() {
	if m.server != nil {
		m.server.close()
	}
	m.store.close()
	if m.poll != nil {
		m.poll.close()
	}
	m.folder.close()
	for _, s := range m.sockets {
		_ = s.Close()
	}
	if m.board != nil {
		_ = m.board.Close()
	}
	if m.devnull > 0 {
		_ = unix.Close(m.devnull)
	}
	if m.up.sender != nil {
		// A message of a process that has ended cannot be attributed:
		// sd_notify_barrier(3).
		_ = m.up.sender.Barrier(barrierPatience)
		_ = m.up.sender.Close()
	}
}
