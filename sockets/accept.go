package sockets

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Strategy says how a Go worker waits for connections on a socket that other
// processes accept from too. docs/explanation/accept.md has the trade-offs and
// the measured cost of each.
type Strategy string

// The strategies.
const (
	// Auto is the best for the worker count: AutoStrategy.
	Auto Strategy = "auto"
	// Exclusive wakes one worker a connection, by EPOLLEXCLUSIVE: the first
	// idle one in the kernel's queue, which takes most of the traffic.
	Exclusive Strategy = "exclusive"
	// Fair is Exclusive, but a worker that holds more than its share stands
	// back for a moment, then goes to the queue's tail.
	Fair Strategy = "fair"
	// Rotate is Exclusive, but a worker goes to the tail after each accept.
	Rotate Strategy = "rotate"
	// Naive is Go's own poller: every connection wakes every idle worker.
	Naive Strategy = "naive"
	// Blocking has a thread in accept(2) on a blocking socket.
	Blocking Strategy = "blocking"
)

var strategies = []Strategy{Auto, Exclusive, Fair, Rotate, Naive, Blocking}

// ErrLeft is what Accept returns after Leave, once the queue was found empty.
var ErrLeft = errors.New("sockets: the listener has left the queue")

// ParseStrategy reads a strategy's name; the empty one is Auto.
func ParseStrategy(name string) (Strategy, error) {
	if name == "" {
		return Auto, nil
	}
	names := make([]string, 0, len(strategies))
	for _, s := range strategies {
		if string(s) == name {
			return s, nil
		}
		names = append(names, string(s))
	}
	return "", fmt.Errorf("accept strategy %q: want one of %s", name, strings.Join(names, ", "))
}

// Listener is a net.Listener on a socket that other processes share.
//
// Accept belongs to one goroutine at a time; the other methods may be called
// from any. Close closes this process' descriptor alone: it never calls
// shutdown(2), never unlinks a path and never changes the description's flags,
// all of which would reach every other worker.
type Listener interface {
	net.Listener

	// Sweep looks at the queue once more, as if it had been woken. A wake-up
	// that died with its worker is healed by it.
	Sweep()

	// Leave takes the listener out of the kernel's queue of waiters. Accept
	// then returns what waits in the queue of connections, at most so many (-1:
	// all), and after that ErrLeft: a wake-up that this process was given is
	// never lost.
	Leave(most int)

	// Rejoin undoes Leave.
	Rejoin()
}

// AcceptOptions is what Accept needs to know besides the socket.
type AcceptOptions struct {
	Strategy Strategy // "" is Auto
	Workers  int      // how many processes wait on the socket, for Auto; 0 is 1

	// Held says how many connections this process holds, without the one that
	// was accepted last, and Share how many are its share of all. Fair asks
	// after each accept, for the share only where it matters. Without Share
	// Fair is Rotate.
	Held, Share func() int
}

// AutoStrategy is what Auto stands for with so many workers: Fair, which was
// the cheapest or within the noise of it at every count, and spreads
// connections that last (docs/explanation/accept.md). One worker alone has
// nobody to share with.
func AutoStrategy(workers int) Strategy {
	if workers <= 1 {
		return Naive
	}
	return Fair
}
