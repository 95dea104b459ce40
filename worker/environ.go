package worker

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"prefork/ipc"
	"prefork/sockets"
)

// environ is what the master tells a worker, checked.
type environ struct {
	inPool  bool // started by a master: PREFORK_SLOT is there
	sockets int  // listening descriptors from ipc.ListenFDStart on
	names   []string
	fds     map[string]int // PREFORK_FDS

	notify     string
	slot       int
	generation uint64
	workers    int
	id         uint64
	cell       int // -1: none

	stopSignal   string
	drainTimeout time.Duration
	linger       time.Duration // not above half the drain timeout
	maxConns     int           // 0: no cap
	strategies   []sockets.Strategy
}

// Bounds of what the environment may say, and what holds outside a pool.
const (
	maxSockets          = 1024
	defaultDrainTimeout = 30 * time.Second
	defaultLinger       = 5 * time.Second
)

// variables are removed from the environment once they are read, so that a
// program that the worker starts does not take itself for a worker.
var variables = []string{
	ipc.EnvListenFDs, ipc.EnvListenPID, ipc.EnvListenFDNames, ipc.EnvNotifySocket,
	ipc.EnvSlot, ipc.EnvGeneration, ipc.EnvWorkers, ipc.EnvID,
	ipc.EnvStopSignal, ipc.EnvDrainTimeout, ipc.EnvFDs,
	ipc.EnvCell, ipc.EnvLinger, ipc.EnvAccept, ipc.EnvMaxConns,
}

// readEnviron reads the variables of ipc/contract.go. LISTEN_PID that names
// another process means that the sockets are not for this one, which is an
// error inside a pool and nothing at all outside (sd_listen_fds(3)).
func readEnviron(get func(string) string, pid int) (environ, error) {
	r := reader{get: get}
	e := environ{
		inPool:       get(ipc.EnvSlot) != "",
		notify:       get(ipc.EnvNotifySocket),
		workers:      1,
		generation:   1,
		cell:         -1,
		drainTimeout: defaultDrainTimeout,
		linger:       defaultLinger,
		stopSignal:   get(ipc.EnvStopSignal),
	}
	switch listenPID := get(ipc.EnvListenPID); {
	case listenPID == strconv.Itoa(pid):
		r.integer(ipc.EnvListenFDs, &e.sockets, 0, maxSockets)
		e.names = strings.Split(get(ipc.EnvListenFDNames), ":")
	case e.inPool:
		return e, fmt.Errorf("join pool: %s is %q and this process is %d: the command must exec its program", ipc.EnvListenPID, listenPID, pid)
	}
	r.integer(ipc.EnvSlot, &e.slot, 0, 1<<20)
	r.integer(ipc.EnvWorkers, &e.workers, 1, 1<<20)
	r.number(ipc.EnvGeneration, &e.generation)
	r.number(ipc.EnvID, &e.id)
	r.integer(ipc.EnvCell, &e.cell, 0, 1<<20)
	r.integer(ipc.EnvMaxConns, &e.maxConns, 0, 1<<30)
	r.seconds(ipc.EnvDrainTimeout, &e.drainTimeout)
	r.seconds(ipc.EnvLinger, &e.linger)
	e.linger = min(e.linger, e.drainTimeout/2)
	if r.err == nil {
		e.fds, r.err = ipc.ParseFDs(get(ipc.EnvFDs))
	}
	for name := range strings.SplitSeq(get(ipc.EnvAccept), ",") {
		s, err := sockets.ParseStrategy(name)
		if err != nil && r.err == nil {
			r.err = err
		}
		e.strategies = append(e.strategies, s)
	}
	if r.err != nil {
		return e, fmt.Errorf("join pool: %w", r.err)
	}
	return e, nil
}

// name gives the name of socket i, as LISTEN_FDNAMES has it.
func (e *environ) name(i int) string {
	if i < len(e.names) && e.names[i] != "" {
		return e.names[i]
	}
	return "listen" + strconv.Itoa(i)
}

// strategy gives the accept strategy of socket i; one alone is for all.
func (e *environ) strategy(i int) sockets.Strategy {
	if i < len(e.strategies) {
		return e.strategies[i]
	}
	return e.strategies[len(e.strategies)-1]
}

// unset removes the variables from this process' environment.
func unsetEnviron() {
	for _, v := range variables {
		_ = os.Unsetenv(v) // fails for an empty name only
	}
}

// reader keeps the first error of a run of variables; an absent one leaves
// its default.
type reader struct {
	get func(string) string
	err error
}

func (r *reader) integer(name string, to *int, low, high int) {
	text := r.get(name)
	if text == "" || r.err != nil {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		r.err = fmt.Errorf("%s is %q: want a number from %d to %d", name, text, low, high)
		return
	}
	*to = n
}

func (r *reader) number(name string, to *uint64) {
	text := r.get(name)
	if text == "" || r.err != nil {
		return
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		r.err = fmt.Errorf("%s is %q: want a number", name, text)
		return
	}
	*to = n
}

func (r *reader) seconds(name string, to *time.Duration) {
	text := r.get(name)
	if text == "" || r.err != nil {
		return
	}
	d, err := ipc.ParseSeconds(text)
	if err != nil {
		r.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	*to = d
}
