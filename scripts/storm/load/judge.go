package load

import (
	"slices"
	"strconv"
	"time"
)

// Around is how long after a kill an error may still be its doing: the
// client's side of a connection hears of the death of the other one late when
// both processors are busy.
const Around = 250 * time.Millisecond

// Unexplained gives the errors that no kill explains. A kill explains the
// errors of connections that were bound to the killed worker, and of those
// that had no answer yet, so that nobody knows to whom they were bound, if the
// kill fell between the request and its failure, or shortly before.
func (r *Result) Unexplained() []Error {
	var rest []Error
	for _, e := range r.Errors {
		if !slices.ContainsFunc(r.Marks, func(m MarkedTime) bool { return explains(m, e) }) {
			rest = append(rest, e)
		}
	}
	return rest
}

func explains(m MarkedTime, e Error) bool {
	if m.PID == 0 || e.Ended < m.At || e.Began > m.At+Around {
		return false
	}
	if e.Phase == Connect || e.Kind == TimedOut {
		return false // the listener outlives every worker, and a death is no silence
	}
	return e.Worker == "" || e.Worker == strconv.Itoa(m.PID)
}

// Dip is what the marks of a result did to its throughput.
type Dip struct {
	Window time.Duration // how long after each mark
	Calm   float64       // good answers a second outside of all windows
	Fault  float64       // the same inside of them
	Worst  float64       // the worst Interval inside of one, as a rate
	Share  float64       // by how much Fault is below Calm: 0.05 is 5 %; negative: it is above
}

// window is how long after a mark its effect is looked for: a second, or half
// of the time to the next one, so that some of the run is left to compare with.
func (r *Result) window() time.Duration {
	window := time.Second
	if n := len(r.Marks); n > 1 {
		window = min(window, (r.Marks[n-1].At-r.Marks[0].At)/time.Duration(n-1)/2)
	}
	return max(window, Interval)
}

// Dip compares the time after each mark with the rest of the run. The first
// and the last Interval of a run count for nothing.
func (r *Result) Dip() Dip {
	window := r.window()
	var calm, fault, calmN, faultN int
	worst := -1
	for i := 1; i < len(r.Intervals)-1; i++ {
		from, to := time.Duration(i)*Interval, time.Duration(i+1)*Interval
		inside := slices.ContainsFunc(r.Marks, func(m MarkedTime) bool { return to > m.At && from < m.At+window })
		if !inside {
			calm, calmN = calm+r.Intervals[i], calmN+1
			continue
		}
		fault, faultN = fault+r.Intervals[i], faultN+1
		if worst < 0 || r.Intervals[i] < worst {
			worst = r.Intervals[i]
		}
	}
	if calmN == 0 || faultN == 0 {
		return Dip{}
	}
	perSecond := 1 / Interval.Seconds()
	d := Dip{
		Window: window, Calm: float64(calm) / float64(calmN) * perSecond, Fault: float64(fault) / float64(faultN) * perSecond,
		Worst: float64(worst) * perSecond,
	}
	if d.Calm > 0 {
		d.Share = 1 - d.Fault/d.Calm
	}
	return d
}
