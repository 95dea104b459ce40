package master

import (
	"os"
	"strconv"

	"prefork/ipc"
	"prefork/master/internal/pool"
)

// busy takes a report that a lock of the store is kept. The report is a hint:
// only a process of this master's own table that the lock word names is looked
// at any further.
func (m *master) busy(b ipc.Busy) {
	if m.store.holder == nil {
		return
	}
	id, turn, ok := m.store.holder(b.Shard)
	if !ok || id != b.ID {
		return // there is no such lock, or it was let go
	}
	p := m.store.ids[id]
	if p == nil {
		m.log.Debug("a lock of the store is kept by a process that is not this pool's", "lock", b.Shard, "id", id)
		return
	}
	m.step(pool.Holding{ID: p.id, Shard: b.Shard, Turn: turn, Stopped: stopped(p.pid)})
}

// lookAtHold sees for itself whether a process still holds a lock.
func (m *master) lookAtHold(c pool.LookAtHold) pool.Event {
	if p := m.proc(c.ID); p != nil && m.store.holder != nil {
		if id, turn, ok := m.store.holder(c.Shard); ok && id == p.storeID {
			return pool.Holding{ID: c.ID, Shard: c.Shard, Turn: turn, Stopped: stopped(p.pid)}
		}
	}
	return pool.LetGo{ID: c.ID}
}

func (m *master) killHolder(c pool.KillHolder) {
	p := m.proc(c.ID)
	if p == nil {
		return
	}
	reason := "it runs, and has not let go for a second while others wait"
	if c.Stopped {
		reason = "it is stopped (state T)"
	}
	who := []any{"slot", p.slot, "gen", p.gen.number}
	if p.front != nil {
		who = []any{"helper", "store"}
	}
	m.log.Warn("killing a process that held the store's lock", append(who, "pid", p.pid, "lock", c.Shard, "reason", reason)...)
	m.killGroup(p)
}

// stopped says that a process is in state T or t: proc_pid_stat(5). The pid is
// one of the table, so it is not anybody else's.
func stopped(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	st, ok := parseStat(data)
	return ok && (st.state == 'T' || st.state == 't')
}
