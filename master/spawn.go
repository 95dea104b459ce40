package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/ipc/notify"
	"prefork/master/internal/pool"
)

// spawn starts one worker: its descriptors, its plan, the fork on this
// thread. Whatever fails, all that was opened for it is closed again.
func (m *master) spawn(c pool.Spawn) pool.Event {
	g := m.gens[c.Generation]
	p := &proc{id: c.ID, slot: c.Slot, gen: g, since: time.Now(), pidfd: -1, lifeline: -1, cell: -1}
	if err := m.fork(p, c.Workers); err != nil {
		err = explainLimit(err)
		m.log.Warn("cannot start a worker", "slot", p.slot, "gen", g.number, "error", err)
		return pool.SpawnFailed{ID: c.ID, Reason: "cannot be started: " + err.Error()}
	}
	m.log.Debug("worker started", "slot", p.slot, "gen", g.number, "pid", p.pid)
	return pool.Spawned{ID: c.ID, PID: p.pid}
}

func (m *master) fork(p *proc, workers int) (err error) {
	g := p.gen
	var l launch
	defer func() { l.end(err) }()

	stdin := m.devnull
	if g.cfg.StdinSocket {
		stdin = g.places[0].Open.FD
	}
	l.add(stdin)
	l.add(1)
	stderrRead, err := m.openStderr(p, &l)
	if err != nil {
		return err
	}
	for _, place := range g.places {
		if place.Addr.Options.Blocking {
			if err := place.Open.SetBlocking(); err != nil {
				return fmt.Errorf("make listener %s blocking: %w", place.Name, err)
			}
		}
		l.add(place.Open.FD)
	}
	life, err := l.lifeline(p)
	if err != nil {
		return err
	}
	fds := []ipc.FD{
		{Name: ipc.FDLifeline, Number: l.add(life)},
		{Name: ipc.FDScoreboard, Number: l.add(m.board.FD())},
	}
	if fd := m.store.fd(); fd >= 0 {
		fds = append(fds, ipc.FD{Name: ipc.FDStore, Number: l.add(fd)})
	}
	if stderrRead >= 0 {
		fds = append(fds, ipc.FD{Name: ipc.FDStderr, Number: l.add(stderrRead)})
	}
	keep := len(l.files)
	if err := m.openNotify(p, &l); err != nil {
		return err
	}
	id := m.store.drawID()
	if cell, ok := m.board.Alloc(p.slot, g.number, id); ok {
		p.cell = cell
		l.undo = append(l.undo, func() { m.board.Free(cell) })
	} else {
		m.counts.Cells++
	}
	err = m.launch(p, id, &l, plan{
		Argv: g.cfg.Argv(p.slot), Env: m.workerEnv(p, id, workers, fds), Dir: g.cfg.Chdir,
		FDs: keep, DeathSignal: int(g.cfg.StopSignal),
		Umask: g.cfg.Umask, Nice: g.cfg.Nice, Rlimits: g.cfg.Rlimits,
	})
	if err == nil {
		m.procs[p.id], m.fresh[p.id] = p, p
		m.memoryBound()
	}
	return err
}

// openStderr gives the child its stderr: a pipe that its own user may open
// again (/dev/stderr), or the master's.
func (m *master) openStderr(p *proc, l *launch) (read int, err error) {
	if p.gen.cfg.Stderr == "inherit" {
		l.add(2)
		return -1, nil
	}
	return m.pipeStderr(p, l)
}

func (m *master) pipeStderr(p *proc, l *launch) (read int, err error) {
	read, write, err := l.pipe(0)
	if err != nil {
		return -1, err
	}
	l.shut = append(l.shut, write)
	l.undo = append(l.undo, func() { _ = unix.Close(read) })
	if p.gen.ids.drop {
		if err := unix.Fchown(write, p.gen.ids.uid, p.gen.ids.gid); err != nil {
			return -1, os.NewSyscallError("fchown", err)
		}
	}
	// The worker gets a read end too, for the day on which the master dies.
	// It shares the description: O_NONBLOCK here would be seen there, and
	// the poller reads only what is there. The pipe is reopened for it.
	own, err := unix.Open("/proc/self/fd/"+strconv.Itoa(read), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("reopen stderr pipe: %w", err)
	}
	l.shut = append(l.shut, read)
	l.undo[len(l.undo)-1] = func() { _ = unix.Close(own) }
	p.stderr = &stderrSource{fd: own, slot: p.slot, out: m.out}
	l.add(write)
	return read, nil
}

func (m *master) openNotify(p *proc, l *launch) error {
	name := strconv.FormatInt(int64(p.id), 10)
	dir := m.folder.forUID(p.gen.ids.uid)
	sock, err := notify.Listen(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
		other, otherErr := m.folder.instead(dir)
		if otherErr != nil {
			return errors.Join(err, otherErr)
		}
		first := err
		if sock, err = notify.Listen(filepath.Join(other, name)); err != nil {
			return errors.Join(first, err)
		}
	}
	if err != nil {
		return err
	}
	l.undo = append(l.undo, func() { _ = sock.Close() })
	p.notify = &notifySource{sock: sock, id: p.id, uid: uint32(p.gen.ids.uid), in: m.inbox}
	return nil
}

// watch hands p's sources to the poller. It gives the keys of those that it
// added, also with an error.
func (m *master) watch(p *proc) (keys []int32, err error) {
	add := func(fd int, src source) {
		if err != nil {
			return
		}
		var key int32
		if key, err = m.poll.add(fd, src); err == nil {
			keys = append(keys, key)
		}
	}
	add(p.shim.fd, p.shim)
	add(p.notify.sock.FD, p.notify)
	if p.stderr != nil {
		add(p.stderr.fd, p.stderr)
	}
	return keys, err
}

// workerEnv is the whole environment of a worker, but for LISTEN_PID.
func (m *master) workerEnv(p *proc, id uint64, workers int, fds []ipc.FD) []string {
	env := slices.Clone(p.gen.base)
	env = append(env,
		ipc.EnvSlot+"="+strconv.Itoa(p.slot),
		ipc.EnvWorkers+"="+strconv.Itoa(workers),
		ipc.EnvID+"="+strconv.FormatUint(id, 10),
		ipc.EnvFDs+"="+ipc.FormatFDs(fds),
		ipc.EnvNotifySocket+"="+p.notify.sock.Path,
	)
	if p.cell >= 0 {
		env = append(env, ipc.EnvCell+"="+strconv.Itoa(p.cell))
	}
	return append(env, p.gen.cfg.EnvOf(p.slot)...)
}

// explainFork names the limit behind fork's errors: fork(2), ERRORS.
func explainFork(err error) error {
	switch err {
	case unix.EAGAIN:
		return fmt.Errorf("%w: a limit on processes is reached (RLIMIT_NPROC of the user, pids.max of the cgroup, or kernel.pid_max)", err)
	case unix.ENOMEM:
		return fmt.Errorf("%w: no memory for another process", err)
	}
	return err
}

// explainLimit names the limit of descriptors, wherever it was met.
func explainLimit(err error) error {
	var limit unix.Rlimit
	if !errors.Is(err, unix.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	return fmt.Errorf("%w: the master's RLIMIT_NOFILE is %d: want %d for each worker, twice that in a reload, and %d",
		err, limit.Cur, descriptorsPerWorker, descriptorsOwn)
}

const (
	// descriptorsPerWorker are the pidfd, the lifeline, stderr and the notify
	// socket; while it starts one more.
	descriptorsPerWorker = 4
	// descriptorsOwn are the master's, with room for a few clients of the
	// control socket; each listener is one more.
	descriptorsOwn = 40
)
