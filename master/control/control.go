// Package control is the protocol of the control socket, both ends: one
// request, one answer, as JSON lines over a Unix stream socket (0600, the
// peer's uid checked by the master). While a request is worked on, lines with
// only "progress" may come before the answer. docs/reference/control.md is
// its specification.
package control

import "time"

// The commands of a Request.
const (
	CmdStatus  = "status"
	CmdReload  = "reload"
	CmdScale   = "scale"
	CmdStop    = "stop"
	CmdVersion = "version"
)

// MaxLine bounds a request line, in bytes; a longer one is refused.
const MaxLine = 64 << 10

// Request is what a client sends, as one line.
type Request struct {
	Command string `json:"command"`
	// Workers is the count that scale asks for, 1 or more.
	Workers int `json:"workers,omitempty"`
	// Serving asks a status for the requests that workers serve, too.
	Serving bool `json:"serving,omitempty"`
}

// Answer is one line back. A line whose Progress is not empty is not the last
// one; the last one has OK, or Error and its reason.
type Answer struct {
	Progress string  `json:"progress,omitempty"`
	OK       bool    `json:"ok"`
	Error    string  `json:"error,omitempty"`
	Result   string  `json:"result,omitempty"` // one sentence for people, for example "generation 3 is running"
	Status   *Status `json:"status,omitempty"`
}

// Status is the pool as its master sees it: the stable format of
// `prefork status --json`.
type Status struct {
	Name       string     `json:"name"`
	PID        int        `json:"pid"`
	Version    string     `json:"version"`
	Phase      string     `json:"phase"` // starting, running, reloading, stopping
	Generation int        `json:"generation"`
	Ready      bool       `json:"ready"` // takes new work: false before the first generation is ready, and in lame duck
	Wanted     int        `json:"wanted"`
	Configured int        `json:"configured"` // the count that the config gives; differs from Wanted after a scale
	Listeners  []Listener `json:"listeners"`
	Workers    []Worker   `json:"workers"`
	// Empty lists the slots that have no worker at this moment, and why.
	Empty      []Slot    `json:"empty,omitempty"`
	Store      Store     `json:"store"`
	Totals     Totals    `json:"totals"`
	LastReload *Reload   `json:"last_reload,omitempty"`
	Message    string    `json:"message,omitempty"` // what a person should know first; STATUS= upwards carries it too
	Dropped    Dropped   `json:"dropped"`
	StartedAt  time.Time `json:"started_at"`
}

// Listener is one socket of the pool.
type Listener struct {
	Name      string  `json:"name"`
	Address   string  `json:"address"`
	From      string  `json:"from"`      // bound, systemd
	Queue     int     `json:"queue"`     // connections not yet accepted; -1: not known
	Backlog   int     `json:"backlog"`   // the queue's limit; -1: not known
	Overflows uint64  `json:"overflows"` // connections that the kernel dropped since this socket was bound, all sockets of its network namespace
	Imbalance float64 `json:"imbalance"` // max/mean of the ready workers' accepted connections; 0: nothing accepted
	Accept    string  `json:"accept"`    // strategy of Go workers
}

// The states of a Worker.
const (
	StateStarting = "starting"
	StateReady    = "ready"
	StateDraining = "draining"
	StateKilling  = "killing"
)

// Worker is one process.
type Worker struct {
	Slot        int       `json:"slot"`
	PID         int       `json:"pid"`
	Generation  int       `json:"generation"`
	State       string    `json:"state"`
	Why         string    `json:"why,omitempty"`        // why it drains: reload, scale, stop, its own wish, ...
	Status      string    `json:"status,omitempty"`     // its own STATUS=
	Connections int64     `json:"connections"`          // open now; -1: it does not say
	Requests    int64     `json:"requests"`             // begun since it started; -1: it does not say
	Accepted    int64     `json:"accepted"`             // connections accepted since it started; -1: it does not say
	LastActive  time.Time `json:"last_active,omitzero"` // of its last heartbeat
	Counts
	Serving []Serving `json:"serving,omitempty"` // where the request asked for it
	Since   time.Time `json:"since"`             // in this state
	Cell    int       `json:"cell"`              // of the scoreboard; -1: it runs without one
}

// Store is what all workers share.
type Store struct {
	Kind    string   `json:"kind"`           // memory, backend, none
	Size    int64    `json:"size,omitempty"` // bytes, of memory
	Full    string   `json:"full,omitempty"` // of memory, when it is full: evict, refuse
	URL     string   `json:"url,omitempty"`  // of a backend, without passwords
	File    string   `json:"file,omitempty"` // of its snapshot
	Helpers []Helper `json:"helpers,omitempty"`
}

// The states of a Helper beside those of a Worker.
const StateResting = "resting"

// Helper is a process that serves the store on a socket, for the workers of
// one user.
type Helper struct {
	Socket   string    `json:"socket"`
	UID      int       `json:"uid"`           // whose socket it is
	PID      int       `json:"pid,omitempty"` // 0: it has no process at this moment
	State    string    `json:"state"`         // resting, starting, ready, draining, killing
	Why      string    `json:"why,omitempty"` // how its last process ended, or why this one is killed
	Since    time.Time `json:"since"`         // in this state
	Until    time.Time `json:"until,omitzero"`
	Restarts int       `json:"restarts"` // processes after the first
}

// Slot is a slot without a worker.
type Slot struct {
	Slot  int       `json:"slot"`
	Why   string    `json:"why"`
	Until time.Time `json:"until,omitzero"` // when the next attempt comes; zero: none before a reload or scale
}

// Reload is the verdict of the last one.
type Reload struct {
	Outcome    string    `json:"outcome"` // committed, failed
	Reason     string    `json:"reason,omitempty"`
	Generation int       `json:"generation"` // the one that was tried
	At         time.Time `json:"at"`
	Took       float64   `json:"took_seconds"`
}

// Dropped counts what was thrown away to keep a bound; none of it stops the service.
type Dropped struct {
	StderrBytes   uint64 `json:"stderr_bytes"`  // output of workers that could not be written
	Notifications uint64 `json:"notifications"` // datagrams over the queue's bound, or refused
	Cells         uint64 `json:"cells"`         // processes that run without a cell
	Snapshots     uint64 `json:"bad_snapshots"` // cells whose content failed its check
}

// The outcomes of a Reload.
const (
	Committed = "committed"
	Failed    = "failed"
)
