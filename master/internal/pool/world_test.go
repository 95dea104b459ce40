package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prefork/master/internal/pool"
)

// world is everything around the pool: the clock, the kernel and the workers,
// as far as a scenario says how they behave. It carries out every command, as
// the master does (all commands of a Step, then their answers in order), and
// checks the invariants after every Step.
type world struct {
	pool pool.State
	now  time.Duration

	config pool.Config // of the next Begin or Load
	loads  string      // "" good, "held", else the reason of the failure
	flags  pool.Loaded // what the next Load says beside the config
	spawns string      // "" good, else the reason of the failure
	door   pool.Probed // what a Probe finds
	born   behaviour   // of workers that are spawned from now on

	helpers behaviour // of helpers' processes that are started from now on
	asks    map[int]bool
	holder  pool.Holding // what a look at a lock finds; ID 0: nobody

	procs   map[pool.ID]*proc
	agenda  []appointment
	seq     int
	pids    int
	loading bool // a Load is held

	say       func(format string, args ...any) // nil: silent
	latest    pool.ID                          // the last one that was spawned
	named     pool.ID                          // the worker that a table test is about
	undying   bool                             // a KILL has no effect, yet
	trace     bool                             // say measurements and probes too
	check     checker
	unchecked bool // for speed: Step alone
	done      *pool.Finish
	steps     int
}

// behaviour is what a worker does by itself. Durations count from its spawn;
// negative means never.
type behaviour struct {
	exec     time.Duration
	hello    time.Duration // first datagram, that says nothing
	ready    time.Duration
	stopping time.Duration
	goLib    bool
	busy     time.Duration // uses a whole CPU until then
	blind    bool          // its CPU time cannot be read
	exit     time.Duration // ends by itself
	code     int
	signal   int
	drain    time.Duration // from the stop signal to the exit
	drained  int           // its status
	dies     int           // signal that the stop signal ends it with; 0: it drains
	extend   time.Duration // asked for at the stop signal
}

// calm is a worker that says nothing, uses no CPU and drains in 5 ms.
var calm = behaviour{hello: -1, ready: -1, stopping: -1, exit: -1, drain: 5 * time.Millisecond}

type proc struct {
	behaviour
	born   time.Duration
	told   bool
	killed bool
	dead   bool
	helper bool
}

type appointment struct {
	at  time.Duration
	seq int
	do  func()
}

func newWorld() *world {
	return &world{
		config: pool.Config{
			Workers: 2, Ready: pool.Notify, StartTimeout: 30 * time.Second, DrainTimeout: 30 * time.Second,
			Settle: pool.SettleAuto, Surge: func(n int) int { return n }, StartParallel: 8,
		},
		born:    calm,
		helpers: behaviour{hello: -1, ready: 5 * time.Millisecond, stopping: -1, exit: -1, drain: 5 * time.Millisecond},
		asks:    map[int]bool{},
		procs:   map[pool.ID]*proc{},
		check:   newChecker(),
	}
}

func (w *world) log(format string, args ...any) {
	if w.say != nil {
		w.say("%11s  "+format, append([]any{short(w.now)}, args...)...)
	}
}

func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// at makes an appointment.
func (w *world) at(t time.Duration, do func()) {
	w.seq++
	a := appointment{max(t, w.now), w.seq, do}
	i, _ := slices.BinarySearchFunc(w.agenda, a, func(x, y appointment) int {
		if x.at != y.at {
			return int(min(1, max(-1, x.at-y.at)))
		}
		return x.seq - y.seq
	})
	w.agenda = slices.Insert(w.agenda, i, a)
}

// run lets time pass: appointments and deadlines come in their order.
func (w *world) run(until time.Duration) {
	for w.done == nil {
		next := until + 1
		if len(w.agenda) > 0 {
			next = min(next, w.agenda[0].at)
		}
		due := w.pool.NextDeadline()
		if due >= 0 {
			next = min(next, max(due, w.now))
		}
		if next > until {
			break
		}
		w.now = next
		if len(w.agenda) > 0 && w.agenda[0].at <= w.now {
			do := w.agenda[0].do
			w.agenda = w.agenda[1:]
			do()
			continue
		}
		w.step(pool.Tick{})
	}
	w.now = max(w.now, until)
}

// step feeds an event, carries out what follows and feeds the answers.
func (w *world) step(ev pool.Event) {
	for queue := []pool.Event{ev}; len(queue) > 0 && w.done == nil; {
		ev, queue = queue[0], queue[1:]
		w.steps++
		var commands []pool.Command
		if w.unchecked {
			commands = w.pool.Step(w.now, ev)
		} else {
			commands = w.check.step(&w.pool, w.now, ev)
		}
		for _, c := range commands {
			if a := w.do(c); a != nil {
				queue = append(queue, a)
			}
		}
	}
}

// do carries one command out and returns its answer.
func (w *world) do(c pool.Command) pool.Event {
	switch c := c.(type) {
	case pool.Spawn:
		w.latest = c.ID
		w.log("spawn w%d slot %d gen %d (of %d)", c.ID, c.Slot, c.Generation, c.Workers)
		if w.spawns != "" {
			return pool.SpawnFailed{ID: c.ID, Reason: w.spawns}
		}
		w.spawn(c.ID)
		w.pids++
		return pool.Spawned{ID: c.ID, PID: 1000 + w.pids}
	case pool.Tell:
		w.log("tell w%d", c.ID)
		w.tell(c.ID)
	case pool.Kill:
		w.log("kill w%d", c.ID)
		w.kill(c.ID)
	case pool.Measure:
		m := pool.Measured{CPU: map[pool.ID]time.Duration{}}
		for _, id := range c.IDs {
			if p := w.procs[id]; p != nil && !p.blind {
				m.CPU[id] = min(w.now-p.born, p.busy)
			}
		}
		if w.trace {
			w.log("measure %s", names(c.IDs))
		}
		return m
	case pool.Load:
		w.log("load gen %d", c.Generation)
		if w.loads == "held" {
			w.loading = true
			return nil
		}
		return w.loaded()
	case pool.Commit:
		w.log("commit gen %d", c.Generation)
	case pool.Verdict:
		if c.Reason == "" {
			w.log("verdict gen %d: committed", c.Generation)
		} else {
			w.log("verdict gen %d: %s", c.Generation, c.Reason)
		}
	case pool.Waits:
		w.log("reload waits: %s", c.Reason)
	case pool.PoolReady:
		w.log("pool ready")
	case pool.LameDuck:
		w.log("lame duck")
	case pool.CloseDoor:
		w.log("close door of %s", sockets(c.Generation))
	case pool.Probe:
		if w.trace {
			w.log("probe %s", sockets(c.Generation))
		}
		p := w.door
		p.Generation = c.Generation
		return p
	case pool.CloseSockets:
		w.log("close sockets of %s", sockets(c.Generation))
	case pool.Gone:
		w.log("gone gen %d", c.Generation)
	case pool.StartHelper:
		w.latest = c.ID
		w.log("start helper %d as h%d", c.Helper, c.ID)
		if w.spawns != "" {
			return pool.SpawnFailed{ID: c.ID, Reason: w.spawns}
		}
		born := w.born
		w.born = w.helpers
		w.spawn(c.ID)
		w.born = born
		w.procs[c.ID].helper = true
		w.pids++
		return pool.Spawned{ID: c.ID, PID: 1000 + w.pids}
	case pool.TellHelper:
		w.log("tell h%d", c.ID)
		w.tell(c.ID)
	case pool.KillHelper:
		w.log("kill h%d", c.ID)
		w.kill(c.ID)
	case pool.WatchHelper:
		w.log("watch for helper %d", c.Helper)
		w.asks[c.Helper] = true
	case pool.LookAtHold:
		w.log("look at lock %d, held by %d", c.Shard, c.ID)
		if h := w.holder; h.ID == c.ID && h.Shard == c.Shard {
			return h
		}
		return pool.LetGo{ID: c.ID}
	case pool.KillHolder:
		how := "has not let go"
		if c.Stopped {
			how = "is stopped"
		}
		w.log("kill %d, which holds lock %d and %s", c.ID, c.Shard, how)
		w.kill(c.ID)
	case pool.Finish:
		if c.Reason == "" {
			w.log("finish %d", c.Code)
		} else {
			w.log("finish %d: %s", c.Code, c.Reason)
		}
		w.done = &c
	default:
		panic(fmt.Sprintf("command %T is not known here", c))
	}
	return nil
}

func sockets(generation int) string {
	if generation == 0 {
		return "all"
	}
	return fmt.Sprintf("gen %d", generation)
}

func names(ids []pool.ID) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf("w%d", id))
	}
	return strings.Join(list, " ")
}

func (w *world) loaded() pool.Event {
	if w.loads != "" && w.loads != "held" {
		return pool.LoadFailed{Reason: w.loads}
	}
	l := w.flags
	l.Config = w.config
	return l
}

// spawn brings a worker to life, with all that it will do by itself.
func (w *world) spawn(id pool.ID) {
	p := &proc{behaviour: w.born, born: w.now}
	w.procs[id] = p
	later := func(after time.Duration, do func()) {
		if after >= 0 {
			w.at(p.born+after, func() {
				if !p.dead {
					do()
				}
			})
		}
	}
	later(p.exec, func() { w.step(pool.Executed{ID: id}) })
	later(p.hello, func() { w.notify(pool.Notified{ID: id, GoLibrary: p.goLib}) })
	later(p.ready, func() { w.notify(pool.Notified{ID: id, Ready: true, GoLibrary: p.goLib}) })
	later(p.stopping, func() {
		w.notify(pool.Notified{ID: id, Stopping: true, GoLibrary: p.goLib})
		if p.drain >= 0 {
			later(w.now+p.drain-p.born, func() { w.exit(id, p.drained, 0) })
		}
	})
	later(p.exit, func() { w.exit(id, p.code, p.signal) })
}

func (w *world) notify(n pool.Notified) {
	var said []string
	for _, s := range []struct {
		is   bool
		text string
	}{
		{n.Ready, "READY"}, {n.Stopping, "STOPPING"}, {n.GoLibrary, "(Go library)"},
		{n.Extend > 0, "EXTEND " + short(n.Extend)},
	} {
		if s.is {
			said = append(said, s.text)
		}
	}
	if said == nil {
		said = []string{"a datagram"}
	}
	w.log("  %s says %s", w.name(n.ID), strings.Join(said, " "))
	w.step(n)
}

// tell delivers the stop signal.
func (w *world) tell(id pool.ID) {
	p := w.procs[id]
	if p == nil || p.told || p.dead {
		return
	}
	p.told = true
	if p.dies > 0 {
		w.at(w.now, func() { w.exit(id, 0, p.dies) })
		return
	}
	if p.extend > 0 {
		w.at(w.now, func() { w.notify(pool.Notified{ID: id, Extend: p.extend}) })
	}
	if p.drain >= 0 {
		w.at(w.now+p.drain, func() { w.exit(id, p.drained, 0) })
	}
}

func (w *world) kill(id pool.ID) {
	if p := w.procs[id]; p != nil && !p.killed && !w.undying {
		p.killed = true
		w.at(w.now+time.Millisecond, func() { w.exit(id, 0, 9) })
	}
}

// exit ends a process, once.
func (w *world) exit(id pool.ID, code, signal int) {
	p := w.procs[id]
	if p == nil || p.dead {
		return
	}
	name := w.name(id)
	p.dead = true
	delete(w.procs, id)
	if signal != 0 {
		w.log("  %s ends by signal %d", name, signal)
	} else {
		w.log("  %s ends with status %d", name, code)
	}
	w.step(pool.Exited{ID: id, Code: code, Signal: signal})
}

func (w *world) name(id pool.ID) string {
	if p := w.procs[id]; p != nil && p.helper {
		return fmt.Sprintf("h%d", id)
	}
	return fmt.Sprintf("w%d", id)
}

// table is the state in one line.
func (w *world) table() string {
	var b strings.Builder
	phase := map[pool.Phase]string{
		pool.PhaseNew: "new", pool.PhaseStarting: "starting", pool.PhaseRunning: "running",
		pool.PhaseStopping: "stopping", pool.PhaseDone: "done",
	}[w.pool.Phase()]
	fmt.Fprintf(&b, "%s gen %d want %d", phase, w.pool.Generation(), w.pool.Wanted())
	if c := w.pool.Configured(); c != w.pool.Wanted() {
		fmt.Fprintf(&b, " (config %d)", c)
	}
	if t := w.pool.Trial(); t != 0 {
		_, ready, batch := w.pool.Counts()
		fmt.Fprintf(&b, " trial gen %d (%d of %d)", t, ready, batch)
	}
	if w.pool.Settling() {
		b.WriteString(" settling")
	}
	if n := w.pool.Draining(); n > 0 {
		fmt.Fprintf(&b, " draining %d", n)
	}
	if w.pool.TakesWork() {
		b.WriteString(" takes work")
	}
	if w.pool.Told() {
		b.WriteString(" told")
	}
	for _, p := range w.pool.Workers() {
		fmt.Fprintf(&b, " | w%d %d/%d %s", p.ID, p.Slot, p.Generation, stateName(p.State))
		if p.Why != "" {
			fmt.Fprintf(&b, " (%s)", p.Why)
		}
	}
	for _, e := range w.pool.Empty() {
		switch {
		case e.Until < 0:
			fmt.Fprintf(&b, " | slot %d empty for good (%s)", e.Slot, e.Why)
		case e.Why != "":
			fmt.Fprintf(&b, " | slot %d empty until %s (%s)", e.Slot, short(e.Until), e.Why)
		default:
			fmt.Fprintf(&b, " | slot %d empty", e.Slot)
		}
	}
	for _, h := range w.pool.Helpers() {
		state := []string{"resting", "starting", "ready", "draining", "killing"}[h.State]
		fmt.Fprintf(&b, " | helper %d", h.Helper)
		if h.ID != 0 {
			fmt.Fprintf(&b, " h%d", h.ID)
		}
		b.WriteString(" " + state)
		if h.Until >= 0 {
			fmt.Fprintf(&b, " until %s", short(h.Until))
		}
		if h.Why != "" {
			fmt.Fprintf(&b, " (%s)", h.Why)
		}
	}
	return b.String()
}

func stateName(s pool.WorkerState) string {
	return map[pool.WorkerState]string{
		pool.StateStarting: "starting", pool.StateReady: "ready",
		pool.StateDraining: "draining", pool.StateKilling: "killing",
	}[s]
}
