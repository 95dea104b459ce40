package master

import "runtime/debug"

const (
	memoryBase    = 24 << 20
	memoryPerProc = 32 << 10 // tables, environment, the kept end of its stderr, with room
)

// memoryQuiet sets when the garbage collector runs: by a bound that follows
// the number of processes, and never by time. The runtime's own rule would
// collect every two minutes in an idle master (forcegcperiod,
// runtime/proc.go), which wakes every thread for nothing.
func (m *master) memoryQuiet() {
	debug.SetGCPercent(-1)
	m.memoryBound()
}

// memoryBound follows the number of processes, in steps.
func (m *master) memoryBound() {
	if n := len(m.procs)/64 + 1; n != m.memorySteps {
		m.memorySteps = n
		debug.SetMemoryLimit(memoryBase + int64(n)*64*memoryPerProc)
	}
}

// memoryBack returns what a start or reload has used to the system. It takes
// a millisecond or so and comes once for each.
func memoryBack() { debug.FreeOSMemory() }
