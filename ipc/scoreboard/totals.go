package scoreboard

import "math"

// Totals are counts over processes: of those that have ended, all that they
// ever counted.
type Totals struct {
	Requests int64 // begun
	Accepted int64
	BytesIn  int64
	BytesOut int64
	Cut      int64 // requests that were in flight when their process ended
}

// grow takes each count that is higher: what a cell has said stays said.
func (t *Totals) grow(o Totals) {
	t.Requests = max(t.Requests, o.Requests)
	t.Accepted = max(t.Accepted, o.Accepted)
	t.BytesIn = max(t.BytesIn, o.BytesIn)
	t.BytesOut = max(t.BytesOut, o.BytesOut)
	t.Cut = max(t.Cut, o.Cut)
}

func (t *Totals) add(o Totals) {
	t.Requests = plus(t.Requests, o.Requests)
	t.Accepted = plus(t.Accepted, o.Accepted)
	t.BytesIn = plus(t.BytesIn, o.BytesIn)
	t.BytesOut = plus(t.BytesOut, o.BytesOut)
	t.Cut = plus(t.Cut, o.Cut)
}

// plus stays at the highest number: a sum of lies must not turn negative.
// Preconditions: neither is negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
