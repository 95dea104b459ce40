package pool

import (
	"math"
	"time"
)

// Phase is how far the pool is.
type Phase int

// The phases. Reloading is not one: a running pool may have a trial generation.
const (
	PhaseNew      Phase = iota // before Begin
	PhaseStarting              // the first generation is not yet ready and settled
	PhaseRunning
	PhaseStopping
	PhaseDone // Finish was emitted
)

// WorkerState is how far a worker is. Why it is there is another field.
type WorkerState int

// The states of a worker. The only ways are starting to ready and back (a
// silent worker that spoke after all), and from both to draining to killing.
const (
	StateStarting WorkerState = iota
	StateReady
	StateDraining
	StateKilling
)

// Reasons why a worker drains or is killed.
const (
	WhyReload   = "reload"
	WhyRollback = "rollback"
	WhyScale    = "scale"
	WhyStop     = "stop"
	WhyItself   = "its own wish"
	WhyStart    = "start timeout"
	WhyDrain    = "drain timeout"
	WhyHeld     = "held the store's lock"
)

// never is a deadline that does not come.
const never = time.Duration(math.MaxInt64)

// State is the whole pool. Not safe for concurrent use. The zero value is a
// pool before Begin.
type State struct {
	now  time.Duration
	out  []Command
	next ID

	phase   Phase
	workers []*worker     // in the order of their spawn, so of their ids too
	in      tally         // all of workers
	gens    []*generation // oldest first; the running one and the trial among them
	running *generation   // nil only before Begin
	trial   *generation   // nil: no reload is under way
	lastGen int

	scaled       int  // the count that a person asked for; 0: the config's
	scalePending int  // asked for before readiness; 0: none
	waiting      bool // a reload was asked for and has not begun
	loading      bool // Load is out, its answer not yet in
	waitSaid     bool // Waits was emitted for the one that waits

	helpers  []*helper
	holds    []hold
	heldKill time.Duration // before it no other process is killed for holding a lock

	lastReady time.Duration // the last instant at which a worker was ready
	stop      stopping
}

// worker is one process.
type worker struct {
	id    ID
	slot  int
	gen   *generation
	pid   int // 0 until Spawned
	state WorkerState
	why   string
	since time.Duration // of this state

	spawned  time.Duration
	executed time.Duration // never: not yet
	readyAt  time.Duration // never: was not ready yet
	startBy  time.Duration // never: no limit
	goneBy   time.Duration // while draining: when it is killed
	toldAt   time.Duration // when it began to drain

	heard     bool // a datagram came
	saidReady bool
	goLibrary bool
	byItself  bool // it drains by its own wish, or has not ended since
	taken     bool // readiness was concluded from silence
	quiet     bool // its group used little CPU over the last window
	samples   []sample
	sampleAt  time.Duration // never: no sample is due
}

type sample struct{ at, cpu time.Duration }

// live: it takes part in the count.
func (w *worker) live() bool { return w.state <= StateReady }

// generation is one configuration and its workers.
type generation struct {
	number int
	cfg    Config
	want   int // workers; slots 0..want-1
	seats  []seat
	in     tally // its workers

	everReady bool // a worker of it was ready at some time
	readyAt   time.Duration
	// leaving: it was replaced or rolled back. Its workers stay until the
	// door of its own sockets is closed and their queue is empty, and, where
	// the new generation comes in batches, until that takes their place.
	leaving    bool
	rolledBack bool
	door       door
	adds       bool // it has sockets that the generation before it has not
	removes    bool // it lacks sockets that the generation before it has
	resetScale bool
}

// seat is a slot of a generation, kept between two workers of it.
type seat struct {
	live      *worker       // the one that counts: starting or ready (I1); nil: none
	spawned   time.Duration // of the last worker; never: none
	notBefore time.Duration
	leaving   int // its workers that said STOPPING and are still there
	fails     int
	forGood   bool // stays empty until a reload or scale
	why       string
}

// door is the closing of sockets: closed, then no handshake under way, then
// an empty queue.
type door struct {
	state     doorState
	closed    time.Duration
	shaken    bool // no handshake is under way any more
	probeAt   time.Duration
	probeStep time.Duration
}

type doorState int

const (
	doorOpen doorState = iota
	doorClosing
	doorEmpty // nothing is queued: the workers may be told
)

type stopping struct {
	code   int
	reason string
	delay  time.Duration // the instant at which the drain delay ends
	door   door
	keep   bool // the pool is kept at its count until the workers are told
	told   bool
	hurry  bool
	quit   bool
}

// Step records an event and returns what follows from it. now never goes
// back. Preconditions: the pool is not done; answers come before the next
// outside event.
func (s *State) Step(now time.Duration, ev Event) []Command {
	s.now = max(s.now, now)
	s.out = nil
	s.record(ev)
	s.reconcile()
	return s.out
}

func (s *State) emit(c Command) { s.out = append(s.out, c) }

func (s *State) generation(number int) *generation {
	for _, g := range s.gens {
		if g.number == number {
			return g
		}
	}
	return nil
}

func (s *State) newGeneration(cfg Config, want int) *generation {
	s.lastGen++
	g := &generation{number: s.lastGen, cfg: cfg, want: want, readyAt: never}
	s.gens = append(s.gens, g)
	return g
}

func (s *State) seat(g *generation, slot int) *seat {
	for len(g.seats) <= slot {
		g.seats = append(g.seats, seat{spawned: never})
	}
	return &g.seats[slot]
}
