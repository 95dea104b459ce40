package pool

import "time"

// ID names one process of the pool, for as long as its master lives; never
// used twice. A pid is for the kernel, an ID for the decision.
type ID int64

// Event is a fact that Step is told. The set is closed.
type Event interface{ event() }

// Begin starts the first generation.
type Begin struct{ Config Config }

// Tick says that time has passed: the deadline that NextDeadline gave.
type Tick struct{}

// Spawned answers Spawn: the process exists, and is on its way to the
// program.
type Spawned struct {
	ID  ID
	PID int
}

// SpawnFailed answers Spawn: there is no process.
type SpawnFailed struct {
	ID     ID
	Reason string
}

// Executed says that the program itself runs (the shim is behind it).
type Executed struct{ ID ID }

// Notified is a datagram of a worker.
type Notified struct {
	ID        ID
	Ready     bool
	Stopping  bool
	GoLibrary bool          // it is our Go library that speaks
	Extend    time.Duration // EXTEND_TIMEOUT_USEC; 0: none
}

// Measured answers Measure: the CPU time that each worker's process group has
// used since it started. A worker that could not be measured is left out.
type Measured struct{ CPU map[ID]time.Duration }

// Exited says that a worker was reaped. Exactly one comes for each Spawned.
type Exited struct {
	ID     ID
	Code   int // exit status, when Signal is 0
	Signal int // the signal that ended it, or 0
	// Detail is the evidence for people: the shim's error, the last lines of
	// stderr. May be empty.
	Detail string
}

// ReloadAsked is one request to reload; it joins the one that waits.
type ReloadAsked struct{}

// Loaded answers Load: the next generation's configuration is good and its
// sockets are bound.
type Loaded struct {
	Config Config
	// WorkersChanged: the file gives another count than when it was last
	// read, so a scale no longer holds.
	WorkersChanged bool
	// Adds: the new generation has sockets that the running one does not.
	// Removes: the running one has sockets that the new one does not.
	Adds, Removes bool
}

// LoadFailed answers Load: nothing was changed.
type LoadFailed struct{ Reason string }

// Scale asks for a count, To > 0, or for a step up or down.
type Scale struct{ To, By int }

// Stop asks for the end: lame duck, door, drain. A second one goes straight
// to the stop signal.
type Stop struct{}

// Quit asks for the end at once: every worker is killed.
type Quit struct{}

// Probed answers Probe.
type Probed struct {
	Generation int  // as in Probe
	Handshakes bool // a connection is half open (SYN_RECV)
	Unknown    bool // the kernel does not tell about half-open ones
	Queued     bool // a connection waits to be accepted
}

// HelperAdded says that there is a helper to start, now or when it is asked
// for. The caller numbers them; a number is never used twice.
type HelperAdded struct {
	Helper int
	Config HelperConfig
}

// HelperDropped says that nobody can reach a helper any more.
type HelperDropped struct{ Helper int }

// HelperAsked answers WatchHelper, once: somebody waits for the helper.
type HelperAsked struct{ Helper int }

// Holding says that a process of the table is seen to hold a lock of the
// store for which somebody has waited in vain; it also answers LookAtHold.
type Holding struct {
	ID      ID
	Shard   int
	Turn    uint64 // of the lock: another one, and it was let go meanwhile
	Stopped bool   // the process is in state T
}

// LetGo answers LookAtHold: it holds the lock no more.
type LetGo struct{ ID ID }

func (Begin) event()         {}
func (Tick) event()          {}
func (Spawned) event()       {}
func (SpawnFailed) event()   {}
func (Executed) event()      {}
func (Notified) event()      {}
func (Measured) event()      {}
func (Exited) event()        {}
func (ReloadAsked) event()   {}
func (Loaded) event()        {}
func (LoadFailed) event()    {}
func (Scale) event()         {}
func (Stop) event()          {}
func (Quit) event()          {}
func (Probed) event()        {}
func (HelperAdded) event()   {}
func (HelperDropped) event() {}
func (HelperAsked) event()   {}
func (Holding) event()       {}
func (LetGo) event()         {}
