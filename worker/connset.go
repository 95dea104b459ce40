package worker

import (
	"net"
	"net/http"
	"sync"
	"time"

	"prefork/ipc/scoreboard"
)

// connSet holds the open connections of a worker. The lock is taken when one
// is opened or closed, never by a request.
type connSet struct {
	limit int // connections at which accepting pauses; 0: none

	mu      sync.Mutex
	head    *conn         // guarded by mu
	n       int           // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced when n falls, nil when nobody waits

	counted *scoreboard.Cell // told of every change
}

// add takes a connection in. One that is no stream of the kernel's has no
// parts that a worker needs, and is given on as it is.
func (s *connSet) add(nc net.Conn, progress time.Duration, state http.ConnState) net.Conn {
	d, ok := nc.(duplex)
	if !ok {
		return nc
	}
	c := &conn{duplex: d, set: s, progress: progress}
	c.enter(state)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.next = s.head; c.next != nil {
		c.next.prev = c
	}
	s.head = c
	s.n++
	s.counted.AddConnections(1)
	return c
}

func (s *connSet) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	s.n--
	s.counted.AddConnections(-1)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *connSet) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// fewer gives the number of open connections and a channel that is closed
// when it has fallen.
func (s *connSet) fewer() (int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.n, s.changed
}

func (s *connSet) full() bool {
	return s.limit > 0 && s.open() >= s.limit
}

// each calls f for every connection without the lock: f may close it.
func (s *connSet) each(f func(*conn)) {
	s.mu.Lock()
	all := make([]*conn, 0, s.n)
	for c := s.head; c != nil; c = c.next {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}
