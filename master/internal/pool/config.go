package pool

import "time"

// Config is what the decision needs to know of a generation's configuration.
type Config struct {
	Workers       int
	Ready         ReadyMode
	Alive         time.Duration // with Alive
	Settle        time.Duration // SettleAuto: 3 s, 0 where every worker is our Go library
	StartTimeout  time.Duration // 0: no limit
	DrainTimeout  time.Duration // 0: kill at once
	DrainDelay    time.Duration
	Surge         func(workers int) int // workers above the count in a reload; at least 1
	StartParallel int
}

// SettleAuto leaves the settling to the kind of the workers.
const SettleAuto time.Duration = -1

// ReadyMode says what counts as ready.
type ReadyMode int

// The kinds of readiness: DESIGN 4, `--ready`.
const (
	Auto ReadyMode = iota
	Notify
	Alive
)

// What the readiness of a silent worker is measured by, and other constants
// of DESIGN 4.
const (
	settleForeign = 3 * time.Second

	silentFrom   = 1 * time.Second        // not ready before
	silentUntil  = 10 * time.Second       // ready at the latest
	silentWindow = 200 * time.Millisecond // the group's CPU time is taken over this long
	silentCPU    = 20 * time.Millisecond  // and must be at most this
	sampleEvery  = 100 * time.Millisecond

	respawnEvery   = 100 * time.Millisecond // a slot starts at most once in
	leavingAtOnce  = 4                      // of a slot may leave by their own wish before the pause grows
	backoffFirst   = 100 * time.Millisecond
	backoffUnready = 30 * time.Second // cap while it has not been ready
	backoffUnsure  = 2 * time.Second  // cap while it has not been ready for the settle time

	maxDraining    = 4  // generations
	maxExtension   = 10 // times the timeout, EXTEND_TIMEOUT_USEC in all
	exitForGood    = 125
	readyGrace     = 1 * time.Second // without a ready worker the pool still counts as taking work
	doorAtLeast    = 10 * time.Millisecond
	doorHandshakes = 1 * time.Second        // half-open connections are waited for at most
	doorUnknown    = 250 * time.Millisecond // where the kernel does not tell about them
	probeFirst     = 2 * time.Millisecond
	probeLast      = 50 * time.Millisecond
)
