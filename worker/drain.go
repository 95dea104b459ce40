package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"prefork/ipc/scoreboard"
)

// cause is why a worker drains.
type cause int

const (
	causeTold      cause = iota // a signal
	causeInterrupt              // SIGINT: a person waits at a terminal
	causeMasterGone
	causeSelf
)

// quickLinger is the linger while a person waits.
const quickLinger = 200 * time.Millisecond

// linger is how long an idle connection may still bring a request. The
// lifeline may make it short in the middle of a drain: its byte and the signal
// race each other.
func (w *Worker) linger() time.Duration {
	if w.quick.Load() {
		return min(w.env.linger, quickLinger)
	}
	return w.env.linger
}

// margin is what the worker leaves of the drain timeout, at whose end the
// master kills it: Serve still returns and says what was open.
func margin(timeout time.Duration) time.Duration {
	return min(timeout/20, 250*time.Millisecond)
}

func (w *Worker) isDraining() bool {
	select {
	case <-w.draining:
		return true
	default:
		return false
	}
}

// drain begins the drain, once; what is asked for later changes nothing.
func (w *Worker) drain(c cause) {
	w.drainOnce.Do(func() {
		timeout := w.env.drainTimeout
		w.drainStart = now()
		w.drainEnd = time.Now().Add(timeout - margin(timeout))
		if c == causeInterrupt {
			w.quick.Store(true)
		}
		w.masterGone = c == causeMasterGone
		w.cell.SetState(scoreboard.StateDraining)
		if c == causeSelf {
			_ = w.notify.Send("STOPPING=1") // the exit says it too
		}
		if c == causeMasterGone {
			// Nobody is left who would end a worker that does not return.
			time.AfterFunc(timeout, func() { os.Exit(1) })
		}
		close(w.draining)
		go w.runDrain()
	})
}

// runDrain is the drain: the listeners leave, connections are told, linger
// and end, and what OnDrain registered ends beside them.
func (w *Worker) runDrain() {
	ctx, cancel := context.WithDeadline(context.Background(), w.drainEnd)
	defer cancel()
	go func() {
		select {
		case <-w.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()

	w.mu.Lock()
	servings, hooks := w.servings, w.onDrain
	w.mu.Unlock()
	for _, l := range w.listeners {
		l.leaveForGood()
	}
	for _, s := range servings {
		s.announce()
	}
	w.awaitListeners(ctx)
	errs := make(chan error, len(hooks))
	for _, f := range hooks {
		go func() { errs <- f(ctx) }()
	}
	err := w.endConns(ctx, servings)
	for range hooks {
		select {
		case herr := <-errs:
			err = errors.Join(err, herr)
		case <-ctx.Done():
			// A hook that returns with the deadline is still heard.
			select {
			case herr := <-errs:
				err = errors.Join(err, herr)
			case <-time.After(margin(w.env.drainTimeout) / 2):
				err = errors.Join(err, fmt.Errorf("%w: an OnDrain function has not returned", ErrDrainTimeout))
			}
		}
	}
	for _, s := range servings {
		_ = s.srv.Close() // its connections are closed, its listeners too
	}
	if w.masterGone {
		err = errors.Join(ErrMasterGone, err)
	}
	w.drainErr = err
	close(w.drained)
}

// acceptEnd is how long a server may take to accept what its listener was
// woken for. One that has stopped asking, for want of room of its own, must
// not keep what OnDrain registered from running.
const acceptEnd = time.Second

func (w *Worker) awaitListeners(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, acceptEnd)
	defer cancel()
	for _, l := range w.listeners {
		select {
		case <-l.done:
		case <-ctx.Done():
			_ = l.shut() // it was only accepted from
		}
	}
}

// lateness of the drain's clock says that this process did not run.
const lateness = 100 * time.Millisecond

// endConns ends connections as they become idle, until none is left or the
// context ends.
func (w *Worker) endConns(ctx context.Context, servings []*serving) error {
	every := min(max(w.env.linger/10, 5*time.Millisecond), 50*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, stopped := now(), time.Duration(0)
	shutdown := false
	for {
		n, fewer := w.conns.fewer()
		if n == 0 {
			return nil
		}
		// Clients that could not be heard have not been idle: time in which this
		// process (SIGSTOP, a paused machine) did not run does not count.
		t := now()
		if late := time.Duration(t-last) - every; late > lateness {
			stopped += late
		}
		last = t
		linger := w.linger() + stopped
		others := 0 // connections that net/http knows
		w.conns.each(func(c *conn) {
			if http.ConnState(c.state.Load()) != http.StateHijacked {
				others++
			}
			if c.mayEnd(linger, w.drainStart) {
				c.end()
			}
		})
		if others == 0 && !shutdown {
			// Nothing is left that Shutdown could lose.
			shutdown = true
			for _, s := range servings {
				_ = s.srv.Shutdown(ctx) // there is nothing to wait for
			}
		}
		select {
		case <-fewer:
		case <-tick.C:
		case <-ctx.Done():
			return w.cut()
		}
	}
}

// cut closes what is still open.
func (w *Worker) cut() error {
	n := 0
	w.conns.each(func(c *conn) {
		if !c.quiet() {
			n++
		}
		_ = c.Close()
	})
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d connections closed in the middle", ErrDrainTimeout, n)
}
