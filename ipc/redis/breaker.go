package redis

import (
	"sync"
	"time"
)

// breaker keeps callers from waiting for a server that does not answer: after
// limit failures in a row it refuses everything, and wait later it lets one
// call through to see. While that one is under way it refuses the others.
type breaker struct {
	limit int
	wait  time.Duration

	mu       sync.Mutex
	failures int       // in a row
	open     bool      // everything is refused,
	until    time.Time // until then one is let through
	probing  bool      // one was let through
	since    time.Time // of the present state
	last     error     // newest failure, nil after a success
	lastAt   time.Time

	failed, refused uint64
}

// allow says whether a call may be made. Its outcome must be told by done.
func (b *breaker) allow() (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, nil
	case b.probing || time.Now().Before(b.until):
		b.refused++
		return false, b.last
	}
	b.probing = true
	return true, nil
}

// verdict is what an outcome says about the server.
type verdict uint8

const (
	answered    verdict = iota // it works, whatever it said
	failed                     // it does not
	saysNothing                // the caller went away first
)

func (b *breaker) done(probe bool, v verdict, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	now := time.Now()
	switch v {
	case answered:
		if b.open {
			b.open, b.since = false, now
		}
		b.failures, b.last = 0, nil
	case failed:
		b.failures++
		b.failed++
		b.last, b.lastAt = err, now
		if !b.open && b.failures >= b.limit {
			b.open, b.since = true, now
		}
		if b.open {
			b.until = now.Add(b.wait)
		}
	case saysNothing:
	}
}

// State says what the breaker does.
type State uint8

// States of a breaker.
const (
	StateClosed   State = iota // calls go to the server
	StateHalfOpen              // one call is on its way to see whether it answers again; others are refused
	StateOpen                  // calls are refused at once
)

func (s State) String() string {
	switch s {
	case StateClosed:
		return "closed"
	case StateHalfOpen:
		return "half-open"
	case StateOpen:
		return "open"
	}
	return "?"
}

// Health is how the server did lately, as this process saw it.
type Health struct {
	State   State
	Server  string    // whom it is about, without password
	Since   time.Time // of the state; zero: it never changed
	Failed  uint64    // calls without an answer
	Refused uint64    // calls that the breaker refused
	Err     error     // newest failure; nil when the server has answered since
	ErrAt   time.Time // of the newest failure
}

func (b *breaker) health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := Health{Since: b.since, Failed: b.failed, Refused: b.refused, Err: b.last, ErrAt: b.lastAt}
	switch {
	case b.open && b.probing:
		h.State = StateHalfOpen
	case b.open:
		h.State = StateOpen
	}
	return h
}
