package load

import (
	"context"
	"sync"
	"time"
)

// Load is a load that is going on. Its methods may be called by any
// goroutine.
type Load struct {
	loop  *loop
	ended chan struct{}
	err   error // of the loop itself; read after ended

	mu    sync.Mutex
	marks []MarkedTime
}

// Start begins a load. The caller ends it with Stop.
func Start(c Config) (*Load, error) {
	loop, err := newLoop(c)
	if err != nil {
		return nil, err
	}
	l := &Load{loop: loop, ended: make(chan struct{})}
	loop.begin = time.Now()
	go func() {
		defer close(l.ended)
		l.err = loop.run()
	}()
	return l, nil
}

// Run is a load for a time, or until the context ends.
func Run(ctx context.Context, c Config, duration time.Duration) (*Result, error) {
	l, err := Start(c)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.ended:
	}
	return l.Stop()
}

// Done gives how many requests have ended until now, Failed how many of them
// with an error: to wait for progress, not for time.
func (l *Load) Done() int64   { return l.loop.requestsDone.Load() }
func (l *Load) Failed() int64 { return l.loop.requestsFailed.Load() }

// Mark names this moment in the result.
func (l *Load) Mark(name string) { l.mark(name, 0) }

// MarkKill names this moment as the one at which a worker was killed. Call it
// before the kill: an error that comes sooner is not its.
func (l *Load) MarkKill(name string, pid int) { l.mark(name, pid) }

func (l *Load) mark(name string, pid int) {
	at := time.Since(l.loop.begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks, MarkedTime{At: at, Name: name, PID: pid})
}

// Stop sends nothing new, waits until what is under way has ended (at most
// the timeout), and gives the result. It is called once. An error says that
// the load itself could not go on; the result has what was until then.
func (l *Load) Stop() (*Result, error) {
	l.loop.ring()
	<-l.ended
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loop.result.Marks = l.marks
	return &l.loop.result, l.err
}
