package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// good counts a good answer.
func (l *loop) good(c *client) {
	now := l.now()
	l.result.By[c.mode].Requests++
	l.result.Latency[c.mode].Add(time.Duration(now - c.due))
	at := int(now / int64(Interval))
	for len(l.result.Intervals) <= at {
		l.result.Intervals = append(l.result.Intervals, 0)
	}
	l.result.Intervals[at]++
	if c.worker != nil {
		c.worker.answers++
	}
	l.requestsDone.Add(1)
}

// record counts and keeps an error.
func (l *loop) record(e Error) {
	l.result.By[e.Mode].Requests++
	l.result.By[e.Mode].Failed++
	l.result.ByKind[e.Kind]++
	l.result.ByPhase[e.Phase]++
	if len(l.result.Errors) < maxErrors {
		l.result.Errors = append(l.result.Errors, e)
	}
	l.requestsDone.Add(1)
	l.requestsFailed.Add(1)
}

// workerOf gives the count of a worker by its name, which is copied only when
// it is new.
func (l *loop) workerOf(name []byte) *workerCount {
	w := l.workers[string(name)]
	if w == nil {
		w = &workerCount{name: string(name)}
		l.workers[w.name] = w
	}
	return w
}

// workerCount is one worker as its answers show it.
type workerCount struct {
	name    string
	answers int64
}

// finish completes the result.
func (l *loop) finish() {
	now := l.now()
	r := &l.result
	r.Begin, r.Elapsed, r.CPU = l.begin, time.Duration(now), threadCPU()-l.cpu
	for _, by := range r.By {
		r.Requests += by.Requests
		r.Failed += by.Failed
	}
	r.Workers = make(map[string]int64, len(l.workers))
	for name, w := range l.workers {
		r.Workers[name] = w.answers
	}
	if l.config.Rate > 0 {
		for mode, gap := range l.gap {
			if gap > 0 {
				r.Backlog += max(0, int64(float64(now)/gap)-l.next[mode])
			}
		}
	}
}

// threadCPU is what the calling thread has used, user and system.
func threadCPU() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &used); err != nil {
		return 0 // a figure for people
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
