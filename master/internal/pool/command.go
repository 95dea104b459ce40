package pool

// Command is what the caller must carry out, in order. The set is closed.
type Command interface{ command() }

// Spawn starts a worker. Answer: Spawned or SpawnFailed, before the next
// outside event.
type Spawn struct {
	ID         ID
	Slot       int
	Generation int
	Workers    int // the count that is wanted now, for PREFORK_WORKERS
}

// Tell sends a worker the stop signal of its own generation.
type Tell struct{ ID ID }

// Kill sends SIGKILL to a worker's process group.
type Kill struct{ ID ID }

// Measure asks for the CPU time of these workers' process groups. Answer:
// Measured.
type Measure struct{ IDs []ID }

// Load asks for the next generation's configuration: read, checked, new
// sockets bound. Answer, as late as may be: Loaded or LoadFailed. Requests that
// come from now on belong to the next reload.
type Load struct{ Generation int }

// Commit says that a generation is the running one from now on.
type Commit struct{ Generation int }

// Verdict ends a reload: every caller that it holds gets it.
type Verdict struct {
	Generation int
	Reason     string // "" committed
}

// Waits says why a reload that was asked for has not begun.
type Waits struct{ Reason string }

// PoolReady says that the pool is ready, and settled, for the first time.
type PoolReady struct{}

// LameDuck says that the pool takes no new work from now on, though it still
// accepts.
type LameDuck struct{}

// CloseDoor stops new connections to the sockets that only this generation
// has, or to all of them with generation 0; what is queued stays.
type CloseDoor struct{ Generation int }

// Probe asks about these sockets. Answer: Probed.
type Probe struct{ Generation int }

// CloseSockets closes the master's copies of these sockets; Tell for the
// workers that hold them follows.
type CloseSockets struct{ Generation int }

// Gone says that a generation's last worker has ended.
type Gone struct{ Generation int }

// Finish ends the run. Codes are those of DESIGN 4: 0 as asked, 1, 3.
type Finish struct {
	Code   int
	Reason string
}

// StartHelper starts a helper's process. Answer: Spawned or SpawnFailed,
// before the next outside event. Its Notified and Exited follow.
type StartHelper struct {
	ID     ID
	Helper int
}

// TellHelper sends a helper the stop signal, KillHelper KILL.
type (
	TellHelper struct{ ID ID }
	KillHelper struct{ ID ID }
)

// WatchHelper asks to be told when somebody waits for a helper. Answer:
// HelperAsked, whenever that is.
type WatchHelper struct{ Helper int }

// LookAtHold asks who holds a lock of the store. Answer: Holding when it is
// this process, else LetGo.
type LookAtHold struct {
	ID    ID
	Shard int
}

// KillHolder kills a process that keeps a lock of the store.
type KillHolder struct {
	ID      ID
	Shard   int
	Stopped bool // it was in state T; else it had not let go in time
}

func (Spawn) command()        {}
func (Tell) command()         {}
func (Kill) command()         {}
func (Measure) command()      {}
func (Load) command()         {}
func (Commit) command()       {}
func (Verdict) command()      {}
func (Waits) command()        {}
func (PoolReady) command()    {}
func (LameDuck) command()     {}
func (CloseDoor) command()    {}
func (Probe) command()        {}
func (CloseSockets) command() {}
func (Gone) command()         {}
func (Finish) command()       {}
func (StartHelper) command()  {}
func (TellHelper) command()   {}
func (KillHelper) command()   {}
func (WatchHelper) command()  {}
func (LookAtHold) command()   {}
func (KillHolder) command()   {}
