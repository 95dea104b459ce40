package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// client connects with plain blocking system calls: what it costs is the same
// for every strategy.

// dial connects and asks; the answer comes later.
func dial(to *unix.SockaddrInet4, ask byte) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	// A reset at close: TIME_WAIT would use up the ports.
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	}
	if err == nil {
		err = retry(func() error { return unix.Connect(fd, to) })
	}
	if err == nil {
		err = retry(func() error { _, err := unix.Write(fd, []byte{ask}); return err })
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("dial: %w", err)
	}
	return fd, nil
}

// answer waits for the slot of the worker that accepted.
func answer(fd int) (slot int, err error) {
	var b [2]byte
	for got := 0; got < len(b); {
		n := 0
		err := retry(func() error { n, err = unix.Read(fd, b[got:]); return err })
		if err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
		if n == 0 {
			return 0, fmt.Errorf("read answer: closed after %d bytes", got)
		}
		got += n
	}
	return int(b[0]) | int(b[1])<<8, nil
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// round makes connections one after the other, and gives what one costs.
func (p *pool) round(d time.Duration) (perConn time.Duration, n int, err error) {
	before, err := p.cpuWithOwn()
	if err != nil {
		return 0, 0, err
	}
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		fd, err := dial(&p.address, askOnce)
		if err != nil {
			return 0, 0, err
		}
		_, err = answer(fd)
		_ = unix.Close(fd)
		if err != nil {
			return 0, 0, err
		}
	}
	after, err := p.cpuWithOwn()
	if err != nil {
		return 0, 0, err
	}
	return time.Duration((after - before) / int64(n)), n, nil
}

func (p *pool) cpuWithOwn() (int64, error) {
	theirs, err := p.cpu()
	if err != nil {
		return 0, err
	}
	own, err := processCPU(os.Getpid())
	return theirs + own, err
}

// spread opens long-lived connections, each after the other was answered or
// all at once, and gives the largest share of a worker against the mean.
func (p *pool) spread(conns int, burst bool) (float64, error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	held := make(map[int]int)
	count := func(fd int) error {
		slot, err := answer(fd)
		held[slot]++
		return err
	}
	for range conns {
		fd, err := dial(&p.address, askHold)
		if err != nil {
			return 0, err
		}
		fds = append(fds, fd)
		if !burst {
			if err := count(fd); err != nil {
				return 0, err
			}
		}
	}
	if burst {
		for _, fd := range fds {
			if err := count(fd); err != nil {
				return 0, err
			}
		}
	}
	most := 0
	for _, n := range held {
		most = max(most, n)
	}
	return float64(most) * float64(len(p.workers)) / float64(conns), nil
}
