// Package sockets makes, adopts and keeps the listening sockets of a pool.
//
// Parse turns the text of a flag into an Addr, Listen binds one, Passed
// adopts what systemd handed over, and Plan compares what is open with what a
// new configuration wants:
//
//	passed, err := sockets.Passed()
//	plan, err := sockets.Plan(passed, want)
//	for _, p := range plan.Set {
//		if p.Open == nil {
//			p.Open, err = sockets.Listen(p.Addr)
//		} else {
//			err = p.Open.Apply(p.Addr.Options)
//		}
//	}
//
// A Socket is a number and what is known about it. It is never wrapped in a
// net.Listener: that would set O_NONBLOCK on the open file description which
// all workers share, and File().Fd() would clear it again. Sockets are made
// close-on-exec and blocking, as systemd makes them, and as plain TCP: an MPTCP
// socket, which net.Listen makes, refuses the filter behind CloseDoor.
//
// Parse, Plan and ParsePassed are pure. The methods of a Socket are for one
// goroutine, that of its owner. Whoever calls Listen or Passed owns the
// descriptors and closes them with Close.
//
// Go workers make a Listener of what they inherit with Accept, which has the
// accept strategies.
//
// The package does not log, retry or wait:
// ErrInUse is returned at once and the caller decides for how long to try
// again. On systems other than Linux, everything that needs the kernel returns
// errors.ErrUnsupported.
package sockets
