package master

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"prefork/master/internal/pool"
)

// Signals are the ways that signals come in. os/signal drops what does not
// fit, so those that must not be lost in a storm of others have channels of
// their own: SIGCHLD, where one pending is as good as many, and the end.
type Signals struct {
	child chan os.Signal
	end   chan os.Signal
	other chan os.Signal
}

// TakeSignals takes the signals of a master from now on; Run carries out what
// has come until then. Until it is called each has its default effect: HUP and
// TERM end the process. A program that will Run calls it first.
func TakeSignals() *Signals {
	var s Signals
	s.open()
	return &s
}

// End gives the signals that ask for the end, for who waits before Run for
// something else. One that is received there is that one's to carry out.
func (s *Signals) End() <-chan os.Signal { return s.end }

// open takes those that the master handles, and every other signal that can be
// ignored, to drop it, so that a stray one does not end the service.
func (s *Signals) open() {
	s.child = make(chan os.Signal, 1)
	s.end = make(chan os.Signal, 16)
	s.other = make(chan os.Signal, 256)
	signal.Notify(s.child, unix.SIGCHLD)
	signal.Notify(s.end, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	signal.Notify(s.other, unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGALRM,
		unix.SIGPIPE, unix.SIGIO, unix.SIGVTALRM)
}

// Close gives the signals back. Run does so with those that it took itself.
func (s *Signals) Close() {
	signal.Stop(s.child)
	signal.Stop(s.end)
	signal.Stop(s.other)
}

// signalled carries out a signal: docs/reference/signals.md.
func (m *master) signalled(s os.Signal) {
	switch s {
	case unix.SIGHUP:
		m.log.Info("reload asked", "by", "SIGHUP")
		m.reload(nil)
	case unix.SIGTERM, unix.SIGINT:
		m.quick = m.quick || s == unix.SIGINT && inForeground()
		m.log.Info("stop asked", "by", unix.SignalName(s.(unix.Signal)))
		m.step(pool.Stop{})
	case unix.SIGQUIT:
		m.log.Info("stop at once asked", "by", "SIGQUIT")
		m.step(pool.Quit{})
	case unix.SIGTTIN:
		m.scaleBy(+1)
	case unix.SIGTTOU:
		m.scaleBy(-1)
	default:
		m.log.Debug("signal ignored", "signal", s)
	}
}

// inForeground says that the master is the foreground job of a terminal: an
// INT then came from its keyboard, and a person waits.
func inForeground() bool {
	for fd := range 3 {
		if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil {
			return group == unix.Getpgrp()
		}
	}
	return false
}
