package master

import (
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"prefork/ipc/notify"
	"prefork/ipc/scoreboard"
	"prefork/master/control"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

// Exit codes of Run.
const (
	ExitStopped  = 0
	ExitRuntime  = 1
	ExitUsage    = 2
	ExitNotReady = 3
	ExitConfig   = 4
)

// Options are what Run is given.
type Options struct {
	Config Config
	Load   func() (Config, error) // reads the configuration anew for a reload; nil: it stays
	Stderr *os.File               // log and the workers' captured stderr; nil: os.Stderr
	// Signals are those that were taken before; nil: they are taken now.
	Signals *Signals
	// Log makes the log of a configuration, written to out, which never
	// blocks. It is called again when a reload changes how the log looks.
	Log     func(out io.Writer, c Config) hclog.Logger
	Version string
}

// Run supervises a pool in the foreground until it has stopped, and returns
// the process' exit code; it logs the reasons. Call it once, from the main
// goroutine, locked to the main thread (runtime.LockOSThread in an init).
func Run(o Options) int {
	runtime.LockOSThread()
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Signals == nil {
		o.Signals = TakeSignals()
		defer o.Signals.Close()
	}
	out := newOutput(o.Stderr)
	defer out.close()
	m := &master{opt: o, out: out, start: time.Now(), cfg: o.Config, sig: o.Signals}
	m.log = o.Log(out, o.Config)
	m.warn()
	if code, err := m.open(); errors.Is(err, errStopped) {
		m.log.Info("stopped", "reason", err)
		m.close()
		return code
	} else if err != nil {
		m.log.Error("cannot start", "error", explainLimit(err))
		m.close()
		return code
	}
	code := m.loop()
	m.close()
	return code
}

// master is the state of a run. It belongs to the goroutine that is in Run,
// but for out, inbox, poll, calls and readings, which say themselves who may use them.
type master struct {
	opt   Options
	log   hclog.Logger
	out   *output
	start time.Time // the pool's time 0
	env   []string  // inherited by workers: the start's, less what is the master's own

	pool    pool.State
	cfg     Config            // of the running generation
	procs   map[pool.ID]*proc // workers
	helpers map[pool.ID]*proc
	pids    map[int]*proc
	fresh   map[pool.ID]*proc // whose readiness is not logged yet
	gens    map[int]*generation
	running *generation
	trial   *generation
	also    []pool.Event      // what came of carrying out a command, beside its answer
	sockets []*sockets.Socket // open ones, of all generations

	sig      *Signals
	inbox    *inbox
	poll     *poller
	calls    chan *call
	readings chan reading // of the reload that reads its configuration
	server   *server

	board   *scoreboard.Board
	store   sharedStore
	folder  notifyFolder
	devnull int // opened for reading; a worker's stdin
	up      upward
	control string // path of the control socket; "" none
	quick   bool   // a person at a terminal waits for the stop

	reloading []*call // callers of the reload that runs
	waiting   []*call // callers of the one that waits
	reloadAt  time.Time
	last      *control.Reload
	lastFail  string // reason of the last failed reload; "" after a good one
	doneCode  int
	done      bool
	overflow0 uint64
	counts    control.Dropped

	memorySteps int
	lookedAt    time.Duration // the last look at all processes, for what was left behind
}

// now is the pool's clock: CLOCK_MONOTONIC since the start.
func (m *master) now() time.Duration { return time.Since(m.start) }

// loop is the one event loop.
func (m *master) loop() int {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	m.step(nil) // helpers come first: workers may have to wait for one
	m.step(pool.Begin{Config: m.cfg.core()})
	for !m.done {
		m.arm(timer)
		select {
		case <-m.sig.child:
			m.reap()
		case <-m.inbox.wake:
			m.receive()
		case s := <-m.sig.end:
			m.signalled(s)
		case s := <-m.sig.other:
			m.signalled(s)
		case c := <-m.calls:
			m.answer(c)
		case r := <-m.readings:
			m.step(m.read(r))
		case <-timer.C:
			m.step(pool.Tick{})
		}
		m.tend()
	}
	return m.doneCode
}

// arm sets the timer to what comes first: the pool's deadline or that of the
// messages to systemd.
func (m *master) arm(t *time.Timer) {
	next := m.up.deadline
	if d := m.pool.NextDeadline(); d >= 0 && (next < 0 || d < next) {
		next = d
	}
	if next < 0 {
		t.Stop()
		return
	}
	t.Reset(max(0, next-m.now()))
}

// step feeds one event to the core, nil for none, and carries out what
// follows. Answers of inline commands re-enter here, before anything else.
func (m *master) step(ev pool.Event) {
	var queue []pool.Event
	if ev != nil {
		queue = append(queue, ev)
	}
	for !m.done {
		queue, m.also = append(queue, m.also...), nil
		if len(queue) == 0 {
			return
		}
		ev, queue = queue[0], queue[1:]
		for _, c := range m.pool.Step(m.now(), ev) {
			if a := m.do(c); a != nil {
				queue = append(queue, a)
			}
			if m.done {
				return
			}
		}
	}
}

// receive takes what the poller has read.
func (m *master) receive() {
	for _, ev := range m.inbox.take() {
		if ev.asked != 0 {
			m.step(pool.HelperAsked{Helper: ev.asked})
		} else if p := m.proc(ev.id); p != nil {
			m.fromWorker(p, ev)
		}
		if m.done {
			return
		}
	}
}

// fromWorker turns what came from a worker into the core's event.
func (m *master) fromWorker(p *proc, ev fromWorker) {
	switch {
	case ev.executed:
		_ = unix.Close(p.shim.fd) // the poller has dropped it at its end
		p.shim.fd = -1
		m.step(pool.Executed{ID: p.id})
	case ev.message != nil:
		p.taken()
		m.notified(p, ev.message)
		if ev.busy != nil {
			m.busy(*ev.busy)
		}
	case ev.report != "":
		p.taken()
		m.reported(p, ev.report)
	}
}

// proc gives the worker or helper with an id, nil when it has ended.
func (m *master) proc(id pool.ID) *proc {
	if p := m.procs[id]; p != nil {
		return p
	}
	return m.helpers[id]
}

func (m *master) notified(p *proc, msg *notify.Message) {
	if len(msg.Refused) > 0 {
		m.counts.Notifications += uint64(len(msg.Refused))
		m.log.Debug("refused what a worker asked", "slot", p.slot, "pid", p.pid, "what", msg.Refused)
	}
	if msg.HasStatus {
		p.status = msg.Status
	}
	if p.front != nil && msg.Ready {
		m.helperReady(p)
	}
	p.goLibrary = p.goLibrary || msg.GoWorker
	m.step(pool.Notified{
		ID: p.id, Ready: msg.Ready, Stopping: msg.Stopping,
		GoLibrary: msg.GoWorker, Extend: msg.ExtendTimeout,
	})
}

// tend does what follows from the state after an event, whichever it was.
func (m *master) tend() {
	m.logChanges()
	m.tendUpward()
}
