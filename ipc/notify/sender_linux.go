package notify

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

func closeSocket(fd int) error {
	return os.NewSyscallError("close", unix.Close(fd))
}

// send addresses each message anew: net's connected unixgram socket takes no
// descriptors ("use of WriteTo with pre-connected connection"), and would stay
// with a receiver that is gone.
func (s *Sender) send(message string, rights []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	to := &unix.SockaddrUnix{Name: s.address} // a leading @ is the abstract NUL
	for {
		err := unix.Sendmsg(s.fd, []byte(message), rights, to, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN || err == unix.ENOBUFS:
			s.dropped.Add(1)
			return fmt.Errorf("send to %s: %w", s.address, ErrDropped)
		}
		return fmt.Errorf("send to %s: %w", s.address, os.NewSyscallError("sendmsg", err))
	}
}

// Barrier waits until the receiver has read everything that was sent before:
// it hands over the write end of a pipe with BARRIER=1, and waits until every
// copy of it is closed (sd_notify_barrier(3)). A receiver that never reads
// costs the timeout; the error is then os.ErrDeadlineExceeded.
func (s *Sender) Barrier(timeout time.Duration) error {
	if s == nil || s.address == "" {
		return nil
	}
	deadline := time.Now().Add(timeout)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("notify barrier: %w", os.NewSyscallError("pipe2", err))
	}
	defer func() { _ = unix.Close(pipe[0]) }()
	err := s.send("BARRIER=1", unix.UnixRights(pipe[1]))
	_ = unix.Close(pipe[1])
	if err != nil {
		return fmt.Errorf("notify barrier: %w", err)
	}
	for {
		left := max(0, time.Until(deadline))
		fds := []unix.PollFd{{Fd: int32(pipe[0])}} // POLLHUP comes unasked
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("notify barrier: %w", os.NewSyscallError("poll", err))
		case time.Until(deadline) <= 0:
			return fmt.Errorf("notify barrier at %s: %w", s.address, os.ErrDeadlineExceeded)
		}
	}
}

// MonotonicUsec is now on CLOCK_MONOTONIC in microseconds: what RELOADING=1
// carries as MONOTONIC_USEC= (sd_notify(3), systemd 253).
func MonotonicUsec() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic("notify: clock_gettime: " + err.Error()) // the clock is always there
	}
	return uint64(now.Nano()) / 1000
}
