package pool

import "time"

// HelperConfig is what the decision needs to know of a helper: a process of
// the master's own kind, in no slot, counted in nothing.
type HelperConfig struct {
	// Always: it runs from the start on, and the first workers wait until it
	// is ready. Else it is started when somebody asks for it (HelperAsked).
	Always       bool
	StartTimeout time.Duration // 0: no limit
	DrainTimeout time.Duration
}

// HelperState is how far a helper is.
type HelperState int

// The states of a helper. From resting it goes to starting; killing ends in
// resting.
const (
	HelperResting HelperState = iota // no process
	HelperStarting
	HelperReady
	HelperDraining
	HelperKilling
)

// helper is one helper and its process, one at a time.
type helper struct {
	number int
	cfg    HelperConfig
	state  HelperState
	why    string // how the last process ended, or why this one is killed
	since  time.Duration

	id      ID // of the process; 0: none
	pid     int
	spawned time.Duration // never: not yet
	readyAt time.Duration // never: this process is not ready yet
	due     time.Duration // of the start or the drain; never: no limit

	wanted    bool // it is started as soon as it may be
	watched   bool // WatchHelper is out
	dropped   bool // it ends for good
	everReady bool
	fails     int
	notBefore time.Duration
	restarts  int
}

func (s *State) addHelper(ev HelperAdded) {
	if s.helper(ev.Helper) == nil && s.phase != PhaseDone {
		s.helpers = append(s.helpers, &helper{number: ev.Helper, cfg: ev.Config, since: s.now, spawned: never, readyAt: never, due: never, wanted: ev.Config.Always})
	}
}

func (s *State) helper(number int) *helper {
	for _, h := range s.helpers {
		if h.number == number {
			return h
		}
	}
	return nil
}

// helperOf is the one whose process has this id, or nil.
func (s *State) helperOf(id ID) *helper {
	for _, h := range s.helpers {
		if h.id == id && id != 0 {
			return h
		}
	}
	return nil
}

// dropHelper lets a helper go: nobody can reach it any more.
func (s *State) dropHelper(number int) {
	if h := s.helper(number); h != nil {
		h.dropped, h.wanted = true, false
	}
}

// helperAsked: somebody waits for it to come.
func (s *State) helperAsked(number int) {
	if h := s.helper(number); h != nil && !h.dropped {
		h.watched = false
		h.wanted = h.wanted || h.state == HelperResting
	}
}

func (h *helper) enter(now time.Duration, to HelperState) { h.state, h.since = to, now }

func (s *State) helperReady(h *helper) {
	if h.state != HelperStarting {
		return
	}
	h.enter(s.now, HelperReady)
	h.readyAt, h.due, h.everReady = s.now, never, true
}

// helperEnded decides what the end of a helper's process means. One that ends
// by a signal or with an error had clients, or will have: the next one is
// started without being asked. One that leaves with 0 is started when
// somebody asks.
func (s *State) helperEnded(h *helper, e end, failed bool) {
	told := h.state >= HelperDraining && h.why == ""
	if !told && h.why == "" {
		h.why = e.reason
	}
	settled := h.readyAt != never && s.now-h.readyAt >= settleForeign
	wasReady := h.readyAt != never
	h.enter(s.now, HelperResting)
	h.id, h.pid, h.readyAt, h.due = 0, 0, never, never
	if told || h.dropped {
		return
	}
	if s.held(h) {
		s.beginStop(3, "store helper "+h.why, 0)
		return
	}
	h.wanted = h.cfg.Always || failed
	if settled {
		h.fails = 0
		return
	}
	if e.own || !h.everReady {
		limit := backoffUnready
		if wasReady {
			limit = backoffUnsure
		}
		h.notBefore = s.now + backoff(h.fails, limit)
		h.fails++
	}
}

// held: the first workers wait for this helper.
func (s *State) held(h *helper) bool {
	return h.cfg.Always && !h.everReady && s.phase == PhaseStarting
}

// waitsForHelper says that no worker may be started yet.
func (s *State) waitsForHelper() bool {
	for _, h := range s.helpers {
		if s.held(h) {
			return true
		}
	}
	return false
}

// mayHelp: until the last worker has left, those that drain may need a helper.
func (s *State) mayHelp() bool {
	return s.phase != PhaseDone && !s.stop.quit && !(s.stop.told && len(s.workers) == 0)
}

// helperDue is when a wanted helper may be started.
func (h *helper) helperDue() time.Duration {
	if h.spawned == never {
		return h.notBefore
	}
	return max(h.notBefore, h.spawned+respawnEvery)
}

// tendHelpers starts, tells and kills what is due.
func (s *State) tendHelpers() {
	kept := s.helpers[:0:0]
	for _, h := range s.helpers {
		switch {
		case h.state == HelperResting && h.dropped:
			continue
		case h.state == HelperResting && s.mayHelp():
			s.wakeHelper(h)
		case (h.state == HelperStarting || h.state == HelperReady) && (h.dropped || !s.mayHelp()):
			s.tellHelper(h)
		}
		switch {
		case h.state == HelperStarting && s.now >= h.due:
			s.killHelper(h, "not ready "+short(h.cfg.StartTimeout)+" after its start (start timeout)")
		case h.state == HelperDraining && s.now >= h.due:
			s.killHelper(h, "")
		}
		kept = append(kept, h)
	}
	s.helpers = kept
}

func (s *State) wakeHelper(h *helper) {
	switch {
	case h.wanted && s.now >= h.helperDue():
		if h.spawned != never {
			h.restarts++
		}
		s.next++
		h.id, h.why, h.wanted, h.watched = s.next, "", false, false
		h.enter(s.now, HelperStarting)
		h.spawned = s.now
		if h.cfg.StartTimeout > 0 {
			h.due = s.now + h.cfg.StartTimeout
		}
		s.emit(StartHelper{h.id, h.number})
	case !h.wanted && !h.watched && !h.cfg.Always:
		h.watched = true
		s.emit(WatchHelper{h.number})
	}
}

func (s *State) tellHelper(h *helper) {
	if h.cfg.DrainTimeout == 0 || s.stop.quit {
		s.killHelper(h, "")
		return
	}
	h.enter(s.now, HelperDraining)
	h.due = s.now + h.cfg.DrainTimeout
	s.emit(TellHelper{h.id})
}

// killHelper ends a helper's process; with a reason it is missed, and the next
// one is started.
func (s *State) killHelper(h *helper, why string) {
	if h.state == HelperKilling || h.state == HelperResting {
		return
	}
	h.enter(s.now, HelperKilling)
	h.why, h.due = why, never
	s.emit(KillHelper{h.id})
}

// helpersGone: no helper has a process.
func (s *State) helpersGone() bool {
	for _, h := range s.helpers {
		if h.state != HelperResting {
			return false
		}
	}
	return true
}

func (s *State) helperDeadlines(at func(time.Duration)) {
	for _, h := range s.helpers {
		if h.state == HelperResting && h.wanted && s.mayHelp() {
			at(h.helperDue())
		}
		if h.state != HelperResting {
			at(h.due)
		}
	}
}

// Helper is one helper as people see it.
type Helper struct {
	Helper   int
	ID       ID // of its process; 0: none
	PID      int
	State    HelperState
	Why      string        // resting: how the last process ended by itself; killing: why
	Since    time.Duration // of this state
	Restarts int
	Until    time.Duration // resting: when it is started; negative: when somebody asks
}

// Helpers lists the helpers, oldest first.
func (s *State) Helpers() []Helper {
	list := make([]Helper, 0, len(s.helpers))
	for _, h := range s.helpers {
		v := Helper{h.number, h.id, h.pid, h.state, h.why, h.since, h.restarts, -1}
		if h.state == HelperResting && h.wanted {
			v.Until = h.helperDue()
		}
		list = append(list, v)
	}
	return list
}
