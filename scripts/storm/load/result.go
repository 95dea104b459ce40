package load

import (
	"fmt"
	"time"
)

// Mode is the kind of a client.
type Mode int

// The modes.
const (
	Fresh Mode = iota // a connection per request
	Kept              // POST on a kept connection
)

func (m Mode) String() string { return [...]string{"fresh", "kept"}[m] }

// MarshalText is for JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Kind is what was wrong with a request.
type Kind string

// The kinds of errors.
const (
	Refused     Kind = "refused"      // ECONNREFUSED, ENOENT: nobody listens
	Reset       Kind = "reset"        // ECONNRESET, EPIPE
	EOFBefore   Kind = "eof-before"   // the end before the first byte of the answer
	EOFIn       Kind = "eof-in"       // the end inside the answer
	TimedOut    Kind = "timeout"      // not complete in time
	BadStatus   Kind = "bad-status"   // complete, but not 200
	BadBody     Kind = "bad-body"     // complete, with another body
	BadResponse Kind = "bad-response" // no HTTP
	Other       Kind = "other"        // whatever else the kernel says; the text has it
)

// Phase is how far a request had come.
type Phase string

// The phases.
const (
	Connect Phase = "connect" // the connection is not there yet
	Send    Phase = "send"    // not all bytes are sent
	Wait    Phase = "wait"    // all sent, no byte has come back
	Body    Phase = "body"    // a byte has come
)

// Error is one request that failed.
type Error struct {
	Began  time.Duration `json:"began"` // when it was sent, from Result.Begin on
	Ended  time.Duration `json:"ended"` // when it failed
	Mode   Mode          `json:"mode"`
	Client int           `json:"client"`
	Kind   Kind          `json:"kind"`
	Phase  Phase         `json:"phase"`
	// Worker is whom the connection was bound to, as an answer on it said; ""
	// when none had come.
	Worker string `json:"worker,omitempty"`
	// Answered is how many answers had come on the connection before.
	Answered int    `json:"answered"`
	Text     string `json:"text"`
}

func (e Error) String() string {
	worker := e.Worker
	if worker == "" {
		worker = "unknown"
	}
	return fmt.Sprintf("%.3fs %s client %d: %s in phase %s after %.3fs, worker %s, answer %d on its connection: %s",
		e.Ended.Seconds(), e.Mode, e.Client, e.Kind, e.Phase, (e.Ended - e.Began).Seconds(), worker, e.Answered+1, e.Text)
}

// MarkedTime is a moment that a caller named, such as a fault.
type MarkedTime struct {
	At   time.Duration `json:"at"` // from Result.Begin on
	Name string        `json:"name"`
	// PID is the process that the fault killed, 0 for none.
	PID int `json:"pid,omitempty"`
}

// maxErrors is how many errors are kept; all are counted.
const maxErrors = 10000

// Result is what became of a load, complete and at rest.
type Result struct {
	Begin   time.Time
	Elapsed time.Duration

	Requests int64 // ended, well or not
	Failed   int64
	By       [2]struct{ Requests, Failed int64 } // by Mode
	ByKind   map[Kind]int64
	ByPhase  map[Phase]int64
	Errors   []Error // the first maxErrors

	Latency [2]Histogram // of good answers, by Mode; open loop: from the moment it was due
	Connect Histogram    // of connections, good ones

	Intervals []int // good answers in each Interval
	Marks     []MarkedTime
	Workers   map[string]int64 // good answers by the worker's name
	Opened    int64            // connections
	// IdleClosed counts kept connections that the server closed while no
	// request was on them: allowed, and no error.
	IdleClosed int64
	CPU        time.Duration // what the driver itself used, user and system
	// Backlog is how many requests of the open loop were due and never sent.
	Backlog int64
}

// All merges the latencies of both modes.
func (r *Result) All() *Histogram {
	all := r.Latency[Fresh]
	all.Merge(&r.Latency[Kept])
	return &all
}

// Rate gives good answers a second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests-r.Failed) / r.Elapsed.Seconds()
}
