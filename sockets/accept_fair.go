package sockets

import "time"

// fairness decides, after an accept, whether this process lets others go
// first. It belongs to the goroutine that accepts.
//
// What it is about are connections that last. While they come and go one at a
// time nobody holds more than his share, and the process whose caches are warm
// goes on; one that collects connections stands back.
type fairness struct {
	held, share func() int

	vain  int       // rests in a row after which connections waited still
	until time.Time // no rest before: the others do not take them
}

const (
	// restTime is how long a process with more than its share stays out of the
	// queue. It bounds what a wake-up that was given to it can be late by.
	restTime = time.Millisecond

	// vainRests in a row say that the others are stopped, stuck or at their
	// caps, so that resting helps nobody; for vainTime it is not tried again.
	vainRests = 16
	vainTime  = 100 * time.Millisecond

	// slack is what a process may hold above its share: this many, and an
	// eighth of the share. Below it a handful of short requests at the same
	// time would push the work from one cold process to the next.
	slack = 2
)

// over says whether this process is to stand back now.
func (f *fairness) over() bool {
	held := f.held()
	if held <= slack {
		return false
	}
	if share := f.share(); held <= share+slack+share/8 {
		return false
	}
	return f.until.IsZero() || time.Now().After(f.until)
}

// rested takes note of a rest, and of whether connections waited at its end.
func (f *fairness) rested(waiting bool) {
	f.until = time.Time{}
	if !waiting {
		f.vain = 0
		return
	}
	if f.vain++; f.vain >= vainRests {
		f.vain, f.until = 0, time.Now().Add(vainTime)
	}
}
