package master

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"prefork/ipc/notify"
	"prefork/master/internal/pool"
)

const (
	extendEvery = 5 * time.Second
	extendBy    = 20 * time.Second
	retryEvery  = 20 * time.Millisecond // a message that systemd's queue had no room for
	maxUnsent   = 16
)

// upward is the way to whoever started the master: READY, RELOADING, STOPPING,
// STATUS, EXTEND_TIMEOUT_USEC and WATCHDOG of sd_notify(3). It belongs to the
// loop and never blocks it; without NOTIFY_SOCKET it does nothing.
type upward struct {
	sender   *notify.Sender // nil: nobody listens
	watchdog time.Duration  // half of WATCHDOG_USEC; 0: none

	unsent   [][]string // messages in order, until there is room
	status   string     // the last STATUS
	busy     bool       // a start, reload or stop is under way
	isReady  bool
	extendAt time.Duration
	fedAt    time.Duration // the next feeding
	deadline time.Duration // when tendUpward wants to run; negative: never
}

func openUpward() (upward, error) {
	u := upward{deadline: -1}
	sender, err := notify.Open(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return u, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return u, nil
	}
	u.sender = sender
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return u, nil // meant for another process: sd_watchdog_enabled(3)
	}
	if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		u.watchdog = time.Duration(usec) * time.Microsecond / 2
	}
	return u, nil
}

func (u *upward) ready() {
	u.isReady = true
	u.send("READY=1")
}

func (u *upward) reloading() {
	u.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatUint(notify.MonotonicUsec(), 10))
}

// reloaded comes after success and failure alike: the unit is active again.
func (u *upward) reloaded(status string) {
	u.status = status
	u.send("READY=1", notify.Status(status))
}

func (u *upward) stopping() {
	u.isReady = false
	u.send("STOPPING=1")
}

func (u *upward) send(lines ...string) {
	if u.sender == nil {
		return
	}
	u.unsent = slices.DeleteFunc(u.unsent, func(old []string) bool { return outdated(old, lines) })
	if len(u.unsent) >= maxUnsent {
		u.unsent = u.unsent[1:]
	}
	u.unsent = append(u.unsent, lines)
	u.flush()
}

// outdated: what waits says no more than the newer message does, so that news
// do not push READY or STOPPING out.
func outdated(old, newer []string) bool {
	if len(old) != 1 || len(newer) != 1 {
		return false
	}
	key, _, _ := strings.Cut(old[0], "=")
	return slices.Contains([]string{"STATUS", "WATCHDOG", "EXTEND_TIMEOUT_USEC"}, key) && strings.HasPrefix(newer[0], key+"=")
}

// flush sends what waits. What is dropped for want of room is kept; any other
// error means that nobody receives, now or ever.
func (u *upward) flush() {
	for len(u.unsent) > 0 {
		if err := u.sender.Send(u.unsent[0]...); errors.Is(err, notify.ErrDropped) {
			return
		}
		u.unsent = u.unsent[1:]
	}
}

// tendUpward brings systemd up to date after an event, and sets the time of
// the next visit.
func (m *master) tendUpward() {
	u := &m.up
	if u.sender == nil || m.done {
		return
	}
	now := m.now()
	u.flush()
	if text := m.message(); text != u.status {
		u.status = text
		u.send(notify.Status(text))
	}
	u.deadline = -1
	at := func(t time.Duration) {
		if u.deadline < 0 || t < u.deadline {
			u.deadline = t
		}
	}
	phase := m.pool.Phase()
	busy := phase == pool.PhaseStarting || phase == pool.PhaseStopping || m.pool.Trial() != 0
	if busy && (!u.busy || now >= u.extendAt) {
		u.extendAt = now + extendEvery
		u.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(extendBy.Microseconds(), 10))
	}
	u.busy = busy
	if busy {
		at(u.extendAt)
	}
	if u.watchdog > 0 {
		if now >= u.fedAt {
			u.fedAt = now + u.watchdog
			if m.healthy(now) {
				u.send("WATCHDOG=1")
			}
		}
		at(u.fedAt)
	}
	if len(u.unsent) > 0 {
		at(now + retryEvery)
	}
}

// healthy gates the watchdog: a worker is ready, or was less than the start
// timeout ago, or one will be tried again by itself. Before the first
// readiness and in a stop other deadlines are in force.
func (m *master) healthy(now time.Duration) bool {
	if m.pool.Phase() != pool.PhaseRunning || m.cfg.StartTimeout == 0 {
		return true
	}
	if now-m.pool.LastReady(now) < m.cfg.StartTimeout {
		return true
	}
	for _, seat := range m.pool.Empty() {
		if seat.Until > now {
			return true
		}
	}
	return false
}

// message is the one line that a person should know first.
func (m *master) message() string {
	ready, trialReady, batch := m.pool.Counts()
	wanted := m.pool.Wanted()
	switch m.pool.Phase() {
	case pool.PhaseStarting:
		if m.cfg.StoreFile != "" && !m.store.loaded {
			return "starting: the store is read from " + m.cfg.StoreFile
		}
		if m.pool.Settling() {
			return fmt.Sprintf("starting: %d of %d workers ready, settling", ready, wanted)
		}
		return fmt.Sprintf("starting: %d of %d workers ready", ready, wanted)
	case pool.PhaseStopping, pool.PhaseDone:
		left := len(m.procs)
		if left == 0 && len(m.helpers) > 0 {
			return "stopping: the workers have left, the store helper finishes"
		}
		if !m.pool.Told() {
			return fmt.Sprintf("stopping: still accepting, %d workers", left)
		}
		return fmt.Sprintf("stopping: %d workers drain", left)
	}
	text := fmt.Sprintf("%d of %d workers ready, generation %d", ready, wanted, m.pool.Generation())
	if wanted != m.pool.Configured() {
		text += fmt.Sprintf(" (config %d)", m.pool.Configured())
	}
	switch {
	case m.pool.Loading():
		text = "reloading: the configuration is read; " + text
	case m.pool.Trial() != 0 && m.pool.Settling():
		text = fmt.Sprintf("reloading: generation %d is ready and settling; %s", m.pool.Trial(), text)
	case m.pool.Trial() != 0:
		text = fmt.Sprintf("reloading: generation %d has %d of %d workers ready; %s", m.pool.Trial(), trialReady, batch, text)
	case m.lastFail != "" && ready < wanted && m.held():
		text = fmt.Sprintf("%d of %d: reload, or roll back the files; last reload failed: %s", ready, wanted, m.lastFail)
	case m.lastFail != "":
		text = fmt.Sprintf("last reload failed: %s; %s goes on", m.lastFail, text)
	case m.pool.Draining() > 0:
		text += fmt.Sprintf(", %d older drain", m.pool.Draining())
	}
	return text
}

// held: a slot waits for its next attempt.
func (m *master) held() bool {
	for _, seat := range m.pool.Empty() {
		if seat.Why != "" {
			return true
		}
	}
	return false
}
