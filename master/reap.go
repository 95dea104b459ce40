package master

import (
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/internal/pool"
)

// reap is the one owner of wait: it peeks, kills the dead worker's process
// group while its pid is still taken (so that no grandchild keeps the port,
// and no stranger is hit), reaps exactly that pid, and goes on until nothing
// is left. A pid that is not in the table is an orphan that PID 1 inherited.
func (m *master) reap() {
	for !m.done {
		pid, err := peekChild()
		if err != nil {
			m.log.Error("cannot wait for children", "error", err)
			return
		}
		if pid == 0 {
			return
		}
		p := m.pids[pid]
		if p != nil {
			p.leftBehind = m.behind(pid)
			_ = unix.Kill(-pid, unix.SIGKILL) // ESRCH: nobody else was in it
		}
		var status unix.WaitStatus
		for {
			_, err = unix.Wait4(pid, &status, 0, nil)
			if err != unix.EINTR {
				break
			}
		}
		if err != nil {
			m.log.Error("cannot reap", "pid", pid, "error", err)
			return
		}
		if p == nil {
			m.log.Debug("reaped an orphan", "pid", pid)
			continue
		}
		m.ended(p, status)
	}
}

// lookEvery bounds the looks at all of /proc, which cost a thousand reads
// where there are a thousand workers: when many end at once, the log names
// what was killed behind the first of them.
const lookEvery = time.Second

// behind names what else is in a group whose leader has ended.
func (m *master) behind(group int) []string {
	if now := m.now(); m.lookedAt == 0 || now-m.lookedAt >= lookEvery {
		m.lookedAt = now
		return groupMembers(group)
	}
	return nil
}

// ended takes a worker's descriptors back, heals what its death may have
// broken, and tells the core.
func (m *master) ended(p *proc, status unix.WaitStatus) {
	ev := pool.Exited{ID: p.id, Code: status.ExitStatus()}
	if status.Signaled() {
		ev.Code, ev.Signal = 0, int(status.Signal())
	}
	served := m.lastServed(p) // while its cell is its own
	m.release(p)
	ev.Detail = p.evidence()
	if p.front != nil {
		m.logHelperEnd(p, ev)
	} else {
		m.logEnd(p, ev, served)
		m.sweep()
	}
	m.step(ev)
}

// sweep heals wake-ups that died with their worker: an exclusive one goes to
// one process, and with it the connection waits until another one comes. Only
// when a queue is not empty do the survivors make one accept sweep.
func (m *master) sweep() {
	for _, s := range m.sockets {
		if queued, err := s.Queued(); err == nil && queued {
			for _, p := range m.procs {
				if p.goLibrary {
					p.poke('s')
				}
			}
			return
		}
	}
}
