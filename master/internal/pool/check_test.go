package pool_test

import (
	"fmt"
	"time"

	"prefork/master/internal/pool"
)

// checker asserts the invariants of doc.go after every Step, from outside: by
// the events that went in, the commands that came out, and the views. A breach
// is a panic, so that whoever drives (a transcript, the fuzzer, a simulation)
// can say how it came to it.
type checker struct {
	workers   map[pool.ID]pool.Worker // after the last Step
	told      map[pool.ID]bool        // Tell or Kill was emitted, or it said STOPPING
	ended     map[pool.ID]bool
	spawnedAt map[[2]int]time.Duration // by generation and slot
	gone      map[int]bool
	rolled    map[int]bool // generations that were given up
	running   int
	waiting   bool // a reload was asked for
	tried     bool // one is under way
	stopTold  bool
	finished  bool

	helpers map[pool.ID]bool // processes of helpers that have been started and have not ended
	held    time.Duration    // the last kill of one that held a lock; -1: none
}

func newChecker() checker {
	return checker{
		workers: map[pool.ID]pool.Worker{}, told: map[pool.ID]bool{}, ended: map[pool.ID]bool{},
		spawnedAt: map[[2]int]time.Duration{}, gone: map[int]bool{}, rolled: map[int]bool{},
		helpers: map[pool.ID]bool{}, held: -1,
	}
}

func breach(format string, args ...any) { panic("breach of " + fmt.Sprintf(format, args...)) }

// step is pool.State.Step, checked.
func (c *checker) step(s *pool.State, now time.Duration, ev pool.Event) []pool.Command {
	before := c.workers
	commands := s.Step(now, ev)
	for _, x := range s.Step(now, pool.Tick{}) {
		breach("I4: a second Step at %v after %T emits %T%+v", now, ev, x, x)
	}
	if d := s.NextDeadline(); d >= 0 && d <= now {
		breach("I5: deadline %v at %v after %T%+v", d, now, ev, ev)
	}
	if err := s.CheckIndexes(); err != nil {
		breach("the indexes: %v after %T%+v", err, ev, ev)
	}
	if _, ok := ev.(pool.ReloadAsked); ok && s.Phase() != pool.PhaseStopping && s.Phase() != pool.PhaseDone {
		c.waiting = true
	}
	c.ends(ev)
	list := s.Workers()
	c.workers = make(map[pool.ID]pool.Worker, len(list))
	for _, w := range list {
		c.workers[w.ID] = w
	}
	c.commands(s, now, ev, commands, before)
	c.states(s, before)
	c.endOf(s, ev, before)
	c.running = s.Generation()
	return commands
}

// ends notes the end of a worker that is known.
func (c *checker) ends(ev pool.Event) {
	id := pool.ID(0)
	switch ev := ev.(type) {
	case pool.Exited:
		id = ev.ID
	case pool.SpawnFailed:
		id = ev.ID
	}
	if _, ok := c.workers[id]; ok || c.helpers[id] {
		c.ended[id] = true
	}
	delete(c.helpers, id)
}

// commands checks what came out: I3, I7, I8, I10.
func (c *checker) commands(s *pool.State, now time.Duration, ev pool.Event, list []pool.Command, before map[pool.ID]pool.Worker) {
	alive := func(id pool.ID) {
		if c.ended[id] {
			breach("I10: a command names w%d after its end", id)
		}
		if _, ok := c.workers[id]; !ok {
			breach("I10: a command names w%d, which is nobody", id)
		}
	}
	for i, x := range list {
		if _, late := x.(pool.Verdict); c.finished && !late {
			breach("I8: %T after Finish", x)
		}
		switch x := x.(type) {
		case pool.Spawn:
			if c.stopTold {
				breach("I7: w%d is spawned after the stop signal", x.ID)
			}
			if _, ok := before[x.ID]; ok || c.ended[x.ID] {
				breach("I10: the id w%d is used twice", x.ID)
			}
			seat := [2]int{x.Generation, x.Slot}
			if last, ok := c.spawnedAt[seat]; ok && now-last < 100*time.Millisecond {
				breach("the respawn rate: slot %d of generation %d after %v", x.Slot, x.Generation, now-last)
			}
			c.spawnedAt[seat] = now
		case pool.Tell:
			alive(x.ID)
			if c.told[x.ID] {
				breach("DESIGN 5: w%d is told twice", x.ID)
			}
			c.mayDrain(s, x.ID)
			c.told[x.ID] = true
		case pool.Kill:
			alive(x.ID)
			c.told[x.ID] = true
		case pool.Measure:
			for _, id := range x.IDs {
				alive(id)
			}
		case pool.Commit:
			if x.Generation <= c.running {
				breach("DESIGN 4: generation %d is committed after %d", x.Generation, c.running)
			}
			c.running = x.Generation
			c.settled(s, now)
		case pool.PoolReady:
			if s.Wanted() == s.Configured() { // else a scale that waited comes with it
				c.settled(s, now)
			}
		case pool.Load:
			if c.tried || !c.waiting {
				breach("DESIGN 4: a reload begins (asked for: %v, another runs: %v)", c.waiting, c.tried)
			}
			c.waiting, c.tried = false, true
		case pool.Verdict:
			if x.Generation == 0 {
				c.waiting = false
			}
			c.tried = false
			if _, load := ev.(pool.LoadFailed); x.Reason != "" && !load {
				c.rolled[x.Generation] = true
			}
		case pool.CloseSockets:
			if x.Generation == 0 {
				c.stopTold = true
			} else if c.stopTold {
				breach("DESIGN 4: generation %d's sockets are closed twice", x.Generation)
			}
		case pool.CloseDoor:
			if c.stopTold {
				breach("DESIGN 4: door of %d closed after all sockets were", x.Generation)
			}
		case pool.Probe:
			if c.stopTold {
				breach("DESIGN 4: a probe of closed sockets (generation %d)", x.Generation)
			}
			if c.gone[x.Generation] {
				breach("DESIGN 4: a probe of generation %d, which is gone", x.Generation)
			}
		case pool.Gone:
			if c.gone[x.Generation] {
				breach("DESIGN 4: generation %d is gone twice", x.Generation)
			}
			c.gone[x.Generation] = true
		case pool.StartHelper:
			if c.stopTold && len(before) == 0 || c.helpers[x.ID] || c.ended[x.ID] {
				breach("I11: helper process %d is started, with %d workers", x.ID, len(before))
			}
			for _, h := range s.Helpers() {
				if h.Helper == x.Helper && h.ID != x.ID {
					breach("I11: helper %d has process %d, and %d", x.Helper, h.ID, x.ID)
				}
			}
			c.helpers[x.ID] = true
		case pool.TellHelper:
			c.helping(x.ID)
		case pool.KillHelper:
			c.helping(x.ID)
		case pool.KillHolder:
			if c.helpers[x.ID] {
				c.helping(x.ID)
			} else {
				alive(x.ID)
				c.told[x.ID] = true
			}
			if c.held >= 0 && now-c.held < time.Second {
				breach("I12: %d is killed %v after another one", x.ID, now-c.held)
			}
			c.held = now
		case pool.Finish:
			if len(c.helpers) > 0 {
				breach("I11: Finish with %d helpers", len(c.helpers))
			}
			if c.waiting || c.tried {
				breach("DESIGN 4: Finish without a verdict (waiting: %v, running: %v)", c.waiting, c.tried)
			}
			if len(c.workers) > 0 || i != len(list)-1 || s.Phase() != pool.PhaseDone {
				breach("I8: Finish with %d workers", len(c.workers))
			}
			c.finished = true
		}
	}
}

func (c *checker) helping(id pool.ID) {
	if !c.helpers[id] {
		breach("I10: a command names h%d, which is nobody", id)
	}
}

// settled: what was accepted is ready, and has been for the settle time.
func (c *checker) settled(s *pool.State, now time.Duration) {
	batch, settle := s.Accepted()
	missing := batch
	for _, w := range c.workers {
		if w.Generation != s.Generation() || w.State > pool.StateReady || w.Slot >= batch {
			continue
		}
		missing--
		least := settle
		if settle == pool.SettleAuto && !w.GoLibrary {
			least = 3 * time.Second
		}
		if w.State != pool.StateReady || now-w.Since < least {
			breach("DESIGN 4: accepted with w%d %s for %v", w.ID, stateName(w.State), now-w.Since)
		}
	}
	if missing != 0 {
		breach("DESIGN 4: accepted with %d workers too few", missing)
	}
}

// mayDrain is I3.
func (c *checker) mayDrain(s *pool.State, id pool.ID) {
	w := c.workers[id]
	switch {
	case s.Phase() == pool.PhaseStopping || s.Phase() == pool.PhaseDone:
	case w.Generation < c.running: // replaced
	case c.rolled[w.Generation]:
	case w.Generation == s.Trial() && w.Slot >= s.TrialWanted():
	case w.Generation == s.Generation() && w.Slot >= s.Wanted():
	default:
		breach("I3: w%d of generation %d is told while %d runs", id, w.Generation, c.running)
	}
}

// states checks the table: I1, I2, I6.
func (c *checker) states(s *pool.State, before map[pool.ID]pool.Worker) {
	seats := make(map[[2]int]pool.ID, len(c.workers))
	pids := make(map[int]pool.ID, len(c.workers))
	for id, w := range c.workers {
		if c.ended[id] {
			breach("I10: w%d is in the table after its end", id)
		}
		if w.State <= pool.StateReady {
			seat := [2]int{w.Generation, w.Slot}
			if other, ok := seats[seat]; ok {
				breach("I1: w%d and w%d in slot %d of generation %d", id, other, w.Slot, w.Generation)
			}
			seats[seat] = id
		}
		if w.PID != 0 {
			if other, ok := pids[w.PID]; ok {
				breach("I2: w%d and w%d have pid %d", id, other, w.PID)
			}
			pids[w.PID] = id
		}
		if b, ok := before[id]; ok {
			if b.State > w.State && !(b.State == pool.StateReady && w.State == pool.StateStarting) {
				breach("I6: w%d went from %s to %s", id, stateName(b.State), stateName(w.State))
			}
		}
	}
	for id := range before {
		if _, ok := c.workers[id]; !ok && !c.ended[id] {
			breach("I9: w%d left the table without its end", id)
		}
	}
	if s.Draining() > 4 {
		breach("DESIGN 4: %d generations drain", s.Draining())
	}
}

// endOf is I9: the end of a worker that was not told decides something.
func (c *checker) endOf(s *pool.State, ev pool.Event, before map[pool.ID]pool.Worker) {
	exited, ok := ev.(pool.Exited)
	if !ok {
		return
	}
	w, known := before[exited.ID]
	if !known || c.told[exited.ID] || s.Phase() != pool.PhaseRunning || c.rolled[w.Generation] {
		return
	}
	if w.Generation != c.running || w.Generation != s.Generation() || w.Slot >= s.Wanted() {
		return
	}
	for _, o := range c.workers {
		if o.Generation == w.Generation && o.Slot == w.Slot && o.State <= pool.StateReady {
			return // respawned
		}
	}
	for _, e := range s.Empty() {
		if e.Slot == w.Slot {
			if e.Why == "" {
				breach("I9: slot %d is empty without a reason", e.Slot)
			}
			return
		}
	}
	breach("I9: the end of w%d decided nothing", exited.ID)
}
