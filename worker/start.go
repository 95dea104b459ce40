package worker

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"prefork/ipc"
	"prefork/ipc/notify"
	"prefork/ipc/scoreboard"
	"prefork/sockets"
)

var started atomic.Bool

// Start joins the pool that this process was started by, or makes the process
// serve alone on Alone. It may be called once.
//
// In a pool it reads the variables of the contract and unsets them, takes the
// sockets over, sets GOMAXPROCS to this worker's part of the CPUs unless the
// environment sets it, and tells the master that this is the Go library.
// From then on the worker drains at its stop signal, at TERM and INT, and when
// the master is gone; HUP, USR1 and USR2, which "pkill -HUP name" sends to the
// whole pool, do nothing, and a broken pipe on stdout is an error of the write.
func Start() (*Worker, error) {
	if started.Swap(true) {
		return nil, errors.New("start worker: Start was called before")
	}
	w, err := join()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	return w, nil
}

func join() (*Worker, error) {
	env, err := readEnviron(os.Getenv, os.Getpid())
	if err != nil {
		return nil, err
	}
	w := &Worker{
		env:      env,
		inPool:   env.inPool,
		draining: make(chan struct{}),
		drained:  make(chan struct{}),
		hurry:    make(chan struct{}),
	}
	told, err := catchSignals(&w.env)
	if err != nil {
		return nil, err
	}
	unsetEnviron()
	if env.inPool && os.Getenv("GOMAXPROCS") == "" {
		cpus := runtime.GOMAXPROCS(0) // of this cgroup, since Go 1.25
		runtime.GOMAXPROCS(max(1, (cpus+env.workers-1)/env.workers))
	}
	if w.notify, err = notify.Open(env.notify); err != nil {
		return nil, err
	}
	if err := w.sendSurely("X_PREFORK_WORKER=1"); err != nil && env.inPool {
		return nil, err
	}
	for _, fd := range env.fds {
		closeOnExec(fd)
	}
	w.openCell()
	if err := w.listen(); err != nil {
		return nil, err
	}
	w.limitConns()
	if fd, ok := env.fds[ipc.FDLifeline]; ok {
		if err := w.watchLifeline(fd); err != nil {
			return nil, err
		}
	}
	go w.followSignals(told)
	return w, nil
}

// followSignals begins the drain at the first signal. A second one, while a
// person waits for a worker that is alone, ends it.
func (w *Worker) followSignals(told <-chan os.Signal) {
	for s := range told {
		switch {
		case w.isDraining() && !w.inPool:
			w.hurryOnce.Do(func() { close(w.hurry) })
		case s == os.Interrupt:
			w.drain(causeInterrupt)
		default:
			w.drain(causeTold)
		}
	}
}

// listen takes over the sockets that were given, or opens one of its own.
func (w *Worker) listen() error {
	if w.env.sockets == 0 && !w.env.inPool {
		l, err := net.Listen("tcp", Alone)
		if err != nil {
			return err
		}
		s, err := sockets.Share(l)
		if err != nil {
			return err
		}
		w.listeners = []*listener{newListener(w, 0, "listen0", s)}
		return nil
	}
	if w.env.sockets == 0 {
		return fmt.Errorf("join pool: %s is 0: no socket to serve", ipc.EnvListenFDs)
	}
	o := sockets.AcceptOptions{Workers: w.env.workers}
	if w.cell != nil {
		o.Held, o.Share = w.held, w.share
	}
	for i := range w.env.sockets {
		o.Strategy = w.env.strategy(i)
		s, err := sockets.Accept(ipc.ListenFDStart+i, o)
		if err != nil {
			return err
		}
		w.listeners = append(w.listeners, newListener(w, i, w.env.name(i), s))
	}
	return nil
}

func (w *Worker) sayReady() error {
	w.cell.SetState(scoreboard.StateReady)
	return w.sendSurely("READY=1")
}

// sendSurely sends again while the master's queue is full, as what it says is
// said once.
func (w *Worker) sendSurely(lines ...string) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := w.notify.Send(lines...)
		if !errors.Is(err, notify.ErrDropped) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-w.draining:
			return err
		}
	}
}

// newServer makes the server of Serve: limits for clients that are slow or
// large, none for a response that goes on. net/http's own have none at all.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           progressBodies(h),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
