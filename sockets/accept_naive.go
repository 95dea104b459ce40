package sockets

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// deadliner is the part of *net.TCPListener and *net.UnixListener that wakes
// a waiting Accept.
type deadliner interface {
	net.Listener
	SetDeadline(time.Time) error
}

// naive waits in Go's own poller. The runtime registers a listener
// edge-triggered and without EPOLLEXCLUSIVE (runtime/netpoll_epoll.go), so a
// connection wakes every process: no wake-up can be lost, and Leave has
// nothing to take back.
type naive struct {
	deadliner

	mu   sync.Mutex
	left bool
}

// Share gives a listener that is nobody else's, or that Go's poller watches
// already, the methods of a Listener. It takes ownership of l.
func Share(l net.Listener) (Listener, error) {
	d, ok := l.(deadliner)
	if !ok {
		return nil, errors.New("share listener: " + l.Addr().Network() + " has no deadline")
	}
	return &naive{deadliner: d}, nil
}

// past is a deadline that has been missed.
var past = time.Unix(1, 0)

func (n *naive) Accept() (net.Conn, error) {
	for {
		if n.hasLeft() {
			return nil, ErrLeft
		}
		c, err := n.deadliner.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
	}
}

func (n *naive) hasLeft() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.left
}

func (n *naive) Sweep() {}

func (n *naive) Leave(int) { n.set(true, past) }
func (n *naive) Rejoin()   { n.set(false, time.Time{}) }

// set changes the flag and the deadline as one, so that Accept never waits
// with the flag set.
func (n *naive) set(left bool, deadline time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = left
	_ = n.SetDeadline(deadline) // fails on a closed listener only, whose Accept says so
}
