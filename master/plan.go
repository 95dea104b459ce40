package master

// shimName is argv[0] of a process that is on its way to be a worker.
const shimName = "prefork-shim"

// plan is all that the shim does, prepared by the master. It comes as JSON in
// a memfd, whose number is the shim's argument.
type plan struct {
	Path string // "" Argv[0], looked up
	Argv []string
	Env  []string // complete, but for LISTEN_PID
	Dir  string   // "" stay

	Parent      int // the master's pid: when it is not the parent any more, nobody wants the worker
	FDs         int // descriptors from 0 on that the program keeps; the rest is closed
	Report      int // pipe for the shim's own error; closed by execve
	DeathSignal int

	Umask   int  // -1 inherit
	Nice    *int // nil inherit
	Rlimits []Rlimit
	Drop    bool // take the ids below
	UID     int
	GID     int
	Groups  []int
}
