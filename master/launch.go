package master

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// launch collects what a spawn has opened: files go to the child and are
// closed in the master afterwards; undo runs when it fails.
type launch struct {
	files []uintptr // the child's descriptors 0, 1, 2, ...
	shut  []int     // ends that only the child keeps
	undo  []func()
}

// end closes what only the child keeps, and after a failure everything.
func (l *launch) end(err error) {
	for _, fd := range l.shut {
		_ = unix.Close(fd)
	}
	if err != nil {
		for _, f := range slices.Backward(l.undo) {
			f()
		}
	}
}

func (l *launch) add(fd int) (number int) {
	l.files = append(l.files, uintptr(fd))
	return len(l.files) - 1
}

// pipe makes a pipe of which the child gets one end.
func (l *launch) pipe(flags int) (read, write int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|flags); err != nil {
		return 0, 0, os.NewSyscallError("pipe2", err)
	}
	return p[0], p[1], nil
}

// lifeline makes p's lifeline and gives the end that is the child's.
func (l *launch) lifeline(p *proc) (fd int, err error) {
	read, write, err := l.pipe(unix.O_NONBLOCK)
	if err != nil {
		return -1, err
	}
	l.shut = append(l.shut, read)
	l.undo = append(l.undo, func() { _ = unix.Close(write) })
	p.lifeline = write
	// One page each: thousands of workers do not take the user's pipe quota
	// (pipe(7), /proc/sys/fs/pipe-user-pages-soft). It is only a saving.
	_, _ = unix.FcntlInt(uintptr(write), unix.F_SETPIPE_SZ, os.Getpagesize())
	return read, nil
}

// launch starts p's process by a plan whose descriptors are in l already; the
// ids are those of p's generation.
func (m *master) launch(p *proc, id uint64, l *launch, work plan) error {
	report, reportWrite, err := l.pipe(0)
	if err != nil {
		return err
	}
	l.shut = append(l.shut, reportWrite)
	l.undo = append(l.undo, func() { _ = unix.Close(report) })
	if err := unix.SetNonblock(report, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	p.shim = &shimSource{fd: report, id: p.id, in: m.inbox}

	ids := p.gen.ids
	work.Parent, work.Report = os.Getpid(), l.add(reportWrite)
	work.Drop, work.UID, work.GID, work.Groups = ids.drop, ids.uid, ids.gid, ids.groups
	planFD, err := writePlan(&work)
	if err != nil {
		return err
	}
	l.shut = append(l.shut, planFD)
	number := l.add(planFD)

	keys, err := m.watch(p)
	l.undo = append(l.undo, func() {
		for _, key := range keys {
			m.poll.remove(key, 0)
		}
	})
	if err != nil {
		return err
	}
	p.keys = keys
	pid, err := syscall.ForkExec("/proc/self/exe", []string{shimName, strconv.Itoa(number)}, &syscall.ProcAttr{
		Env:   []string{"GOGC=off", "GOMAXPROCS=1"}, // the shim's own: it lives for milliseconds
		Files: l.files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &p.pidfd},
	})
	if err != nil {
		return fmt.Errorf("fork: %w", explainFork(err))
	}
	p.pid, p.storeID = pid, id
	m.store.ids[id] = p
	p.notify.pid.Store(int32(pid))
	m.pids[pid] = p
	return nil
}

func writePlan(p *plan) (fd int, err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return -1, err
	}
	fd, err = unix.MemfdCreate("prefork-plan", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	for written := 0; written < len(data); {
		n, err := unix.Pwrite(fd, data[written:], int64(written))
		if err != nil {
			_ = unix.Close(fd)
			return -1, os.NewSyscallError("pwrite", err)
		}
		written += n
	}
	return fd, nil
}
