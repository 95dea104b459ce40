package master

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/master/internal/pool"
)

// HelperArg makes this program the store's helper: it is what the master
// executes, and not for people.
const HelperArg = "__store-helper"

// Flags behind HelperArg.
const (
	HelperFile = "-file" // keeps a snapshot in the file that follows
	HelperLoad = "-load" // and reads it first: nobody has used the store yet
)

// startHelper starts the process of a helper: this program itself, with the
// workers' ids and limits.
func (m *master) startHelper(c pool.StartHelper) pool.Event {
	f := m.store.front(c.Helper)
	if f == nil {
		return pool.SpawnFailed{ID: c.ID, Reason: "its socket is closed"}
	}
	p := &proc{id: c.ID, slot: -1, gen: m.generationOf(f), front: f, since: time.Now(), pidfd: -1, lifeline: -1, cell: -1}
	f.unwatch()
	if err := m.forkHelper(p); err != nil {
		err = explainLimit(err)
		m.log.Warn("cannot start the store helper", "socket", f.socket.Addr.Path, "error", err)
		return pool.SpawnFailed{ID: c.ID, Reason: "cannot be started: " + err.Error()}
	}
	m.log.Info("store helper started", "pid", p.pid, "socket", f.socket.Addr.Path)
	return pool.Spawned{ID: c.ID, PID: p.pid}
}

// generationOf gives the newest generation whose workers have this front: the
// helper runs as its user and with its limits.
func (m *master) generationOf(f *front) *generation {
	var newest *generation
	for _, g := range m.gens {
		if g.front == f && (newest == nil || g.number > newest.number) {
			newest = g
		}
	}
	return newest // a front without a generation is dropped
}

func (m *master) forkHelper(p *proc) (err error) {
	var l launch
	defer func() { l.end(err) }()
	l.add(m.devnull)
	l.add(1)
	stderrRead, err := m.pipeStderr(p, &l)
	if err != nil {
		return err
	}
	p.stderr.lines = func(line []byte) bool { return p.notify.report(line) }
	l.add(p.front.socket.FD)
	life, err := l.lifeline(p)
	if err != nil {
		return err
	}
	fds := []ipc.FD{
		{Name: ipc.FDLifeline, Number: l.add(life)},
		{Name: ipc.FDStore, Number: l.add(m.store.fd())},
		{Name: ipc.FDStderr, Number: l.add(stderrRead)},
	}
	keep := len(l.files)
	if err := m.openNotify(p, &l); err != nil {
		return err
	}
	id := m.store.drawID()
	argv := []string{"prefork", HelperArg}
	if file := m.cfg.StoreFile; file != "" {
		argv = append(argv, HelperFile, file)
		if !m.store.loaded {
			argv = append(argv, HelperLoad)
		}
	}
	err = m.launch(p, id, &l, plan{
		Path: "/proc/self/exe", Argv: argv, Env: m.helperEnv(p, id, fds),
		// No parent-death signal: it stays for the workers that drain without a
		// master, and sees the end of its lifeline.
		FDs: keep, Umask: 0o077, Nice: p.gen.cfg.Nice, Rlimits: helperLimits(p.gen.cfg.Rlimits),
	})
	if err == nil {
		m.helpers[p.id] = p
	}
	return err
}

// helperLimits are the workers', but for the size of the address space: the Go
// runtime reserves more than most programs need (runtime, mpagealloc_64bit.go).
func helperLimits(list []Rlimit) []Rlimit {
	var kept []Rlimit
	for _, r := range list {
		if r.Resource != unix.RLIMIT_AS {
			kept = append(kept, r)
		}
	}
	return kept
}

func (m *master) helperEnv(p *proc, id uint64, fds []ipc.FD) []string {
	return append(append([]string{}, m.env...),
		ipc.EnvListenFDs+"=1",
		ipc.EnvListenFDNames+"=store",
		ipc.EnvID+"="+strconv.FormatUint(id, 10),
		ipc.EnvDrainTimeout+"="+ipc.FormatSeconds(p.gen.cfg.DrainTimeout),
		ipc.EnvFDs+"="+ipc.FormatFDs(fds),
		ipc.EnvNotifySocket+"="+p.notify.sock.Path,
	)
}

// watchHelper waits for a client of a helper that has no process. Where that
// cannot be (epoll has a limit, /proc/sys/fs/epoll/max_user_watches) one is
// started without being asked.
func (m *master) watchHelper(number int) pool.Event {
	f := m.store.front(number)
	if f == nil {
		return nil
	}
	if err := f.watch(m.poll, m.inbox); err != nil {
		m.log.Info("the store helper is started without being asked", "error", err)
		return pool.HelperAsked{Helper: number}
	}
	return nil
}

func (m *master) helperReady(p *proc) {
	m.store.loaded = true
	m.log.Debug("store helper ready", "pid", p.pid, "after", short(time.Since(p.since)))
}

// tellHelper sends it TERM, whatever the workers' stop signal is.
func (m *master) tellHelper(p *proc) {
	if p == nil {
		return
	}
	if err := p.signal(unix.SIGTERM); err != nil && err != unix.ESRCH {
		m.log.Warn("cannot send the stop signal", "helper", "store", "pid", p.pid, "error", err)
	}
}

func (m *master) killHelper(p *proc) {
	if p == nil {
		return
	}
	why := "stop"
	if h, ok := m.helperOf(p); ok && h.Why != "" {
		why = h.Why
	}
	m.log.Warn("killing the store helper", "pid", p.pid, "why", why)
	m.killGroup(p)
}

// helperOf is what the core knows of p.
func (m *master) helperOf(p *proc) (pool.Helper, bool) {
	for _, h := range m.pool.Helpers() {
		if h.ID == p.id {
			return h, true
		}
	}
	return pool.Helper{}, false
}

func (m *master) logHelperEnd(p *proc, ev pool.Exited) {
	args := []any{"pid", p.pid, "uptime", short(time.Since(p.since))}
	if ev.Signal != 0 {
		args = append(args, "signal", strings.TrimPrefix(unix.SignalName(unix.Signal(ev.Signal)), "SIG"))
	} else {
		args = append(args, "exit-code", ev.Code)
	}
	if h, ok := m.helperOf(p); ok && h.State >= pool.HelperDraining && (ev.Code == 0 || ev.Signal != 0) {
		m.log.Info("store helper ended", args...)
		return
	}
	if ev.Detail != "" {
		args = append(args, "stderr", ev.Detail)
	}
	m.log.Warn("store helper ended by itself", args...)
}

// reported logs what a helper says, with its priority.
func (m *master) reported(p *proc, line string) {
	priority, text := linePriority([]byte(line))
	args := []any{"pid", p.pid, "text", clean(string(text), 1000)}
	switch {
	case priority <= 3:
		m.log.Error("store helper reports", args...)
	case priority == 4:
		m.log.Warn("store helper reports", args...)
	case priority <= 6:
		m.log.Info("store helper says", args...)
	default:
		m.log.Debug("store helper says", args...)
	}
}
