package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"prefork/ipc/scoreboard"
)

// pool is the workers of one strategy, on a socket of their own.
type pool struct {
	strategy string
	address  unix.SockaddrInet4
	socket   int
	board    *scoreboard.Board
	workers  []*exec.Cmd
	stdins   []io.Closer
}

func startPool(strategy string, count int) (p *pool, err error) {
	p = &pool{strategy: strategy, socket: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start %d workers, %s: %w", count, strategy, err), p.stop())
		}
	}()
	if err := p.listen(); err != nil {
		return p, err
	}
	if p.board, err = scoreboard.Create(); err != nil {
		return p, err
	}
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	// Numbers, not files that own them: os/exec asks them for Fd, which leaves
	// a blocking description as it is.
	listener := os.NewFile(uintptr(p.socket), "listener")
	p.socket = -1
	defer func() { err = errors.Join(err, listener.Close()) }()
	fd, err := unix.FcntlInt(uintptr(p.board.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return p, os.NewSyscallError("fcntl", err)
	}
	board := os.NewFile(uintptr(fd), "scoreboard")
	defer func() { err = errors.Join(err, board.Close()) }()
	for slot := range count {
		index, ok := p.board.Alloc(slot, 1, uint64(slot)+1)
		if !ok {
			return p, errors.New("no free cell")
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1", envStrategy+"="+strategy, envWorkers+"="+strconv.Itoa(count),
			envSlot+"="+strconv.Itoa(slot), envCell+"="+strconv.Itoa(index))
		cmd.ExtraFiles = []*os.File{listener, board}
		cmd.Stderr = os.Stderr
		if err := p.startWorker(cmd); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *pool) startWorker(cmd *exec.Cmd) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.workers, p.stdins = append(p.workers, cmd), append(p.stdins, in)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		return fmt.Errorf("worker said %q: %w", line, err)
	}
	return nil
}

// listen makes the socket as the master does: blocking, CLOEXEC.
func (p *pool) listen() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	p.socket = fd
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return os.NewSyscallError("listen", err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	p.address = *at.(*unix.SockaddrInet4)
	return nil
}

// stop ends the workers and waits for them.
func (p *pool) stop() error {
	var errs []error
	for _, in := range p.stdins {
		errs = append(errs, in.Close())
	}
	for _, w := range p.workers {
		if err := w.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("worker: %w", err))
		}
	}
	if p.socket >= 0 {
		errs = append(errs, unix.Close(p.socket))
	}
	if p.board != nil {
		errs = append(errs, p.board.Close())
	}
	return errors.Join(errs...)
}

// cpu gives the nanoseconds that the workers have run.
func (p *pool) cpu() (int64, error) {
	var sum int64
	for _, w := range p.workers {
		n, err := processCPU(w.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// processCPU sums the first number of each thread's schedstat: nanoseconds on
// a CPU (Documentation/scheduler/sched-stats.rst). /proc/PID/stat counts ticks
// of 10 ms.
func processCPU(pid int) (int64, error) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("read CPU of process %d: no schedstat", pid)
	}
	var sum int64
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		sum += n
	}
	return sum, nil
}
