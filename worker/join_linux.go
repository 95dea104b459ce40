package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"prefork/ipc"
)

// catchSignals takes over the signals of the contract, and gives those that
// begin a drain. Those that do nothing are caught, not ignored, so that
// programs which the worker starts have them at their default; a SIGPIPE that
// is caught makes the write on a broken stdout fail with EPIPE instead of
// ending the process (os/signal).
func catchSignals(e *environ) (<-chan os.Signal, error) {
	stop := os.Signal(syscall.SIGTERM)
	if name := e.stopSignal; name != "" {
		n := unix.SignalNum(name)
		if n == 0 {
			return nil, fmt.Errorf("join pool: %s is %q: no such signal", ipc.EnvStopSignal, name)
		}
		stop = n
	}
	idle := make(chan os.Signal, 64) // nobody reads: Notify never waits
	signal.Notify(idle, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	told := make(chan os.Signal, 64)
	signal.Notify(told, stop, syscall.SIGTERM, syscall.SIGINT)
	return told, nil
}

func closeOnExec(fd int) { unix.CloseOnExec(fd) }

// openPipe makes a file of the read end of a pipe that the master handed over.
func openPipe(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("open %s on descriptor %d: %w", name, fd, os.NewSyscallError("fcntl", err))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// emptyStderr reads this process' own stderr, which the master read while it
// lived, so that a worker which logs while it drains does not wait on a full
// pipe. What stdout does not take at once is lost.
func emptyStderr(fd int) {
	f, err := openPipe(fd, "stderr")
	if err != nil {
		return // the pipe was not handed over; there is nowhere to say it
	}
	lines := make(chan []byte, 64)
	go func() {
		for b := range lines {
			_, _ = os.Stdout.Write(b) // to nowhere when that fails
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			select {
			case lines <- append([]byte(nil), buf[:n]...):
			default:
			}
		}
		if err != nil {
			close(lines)
			return
		}
	}
}

// exhausted says whether accept failed for want of descriptors or memory.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) ||
		errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// descriptors gives the limit of this process' descriptors and how many are
// open.
func descriptors() (limit, open int, ok bool) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, 0, false
	}
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, false
	}
	return int(min(r.Cur, 1<<30)), len(names), true
}
