package redis

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"prefork/ipc/store"
)

// guard is a connection that reads no reply that could not be meant for us.
// The client's parser believes what a server says: it makes a slice as long as
// a header promises before a byte of it is there. A server that is broken, or
// is none, would end this process.
type guard struct {
	net.Conn
	scan  scanner
	since int   // bytes since the newest request
	err   error // once set, nothing is read any more
}

const (
	maxBulk  = store.MaxValue + 1<<16 // of one string
	maxArray = 1 << 16                // elements of one array
	maxLine  = 1 << 16                // of an error or a status
	maxReply = 64 << 20               // of all that follows one request
)

// checked is a guard whose socket the client's pool may look at before it
// hands the connection out again: one that the server has closed, or sent
// something unasked, is thrown away.
type checked struct {
	*guard
	socket syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (c checked) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }

// newGuard guards a connection. resp3: what answers is a Sentinel, to which
// the client always speaks RESP3. The pool's look is left out there: with
// RESP3 it parses what it finds, and could meet a record of TLS.
func newGuard(c net.Conn, resp3 bool) net.Conn {
	g := &guard{Conn: c, scan: scanner{resp3: resp3}}
	if resp3 {
		return g
	}
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		c = t.NetConn()
	}
	if socket, ok := c.(syscall.Conn); ok {
		return checked{g, socket}
	}
	return g
}

// Write implements net.Conn.
func (g *guard) Write(b []byte) (int, error) {
	g.since = 0
	n, err := g.Conn.Write(b)
	if err == nil || g.scan.resp3 { // a Sentinel's connection may be read by another goroutine
		return n, err
	}
	// A server that is full says so and closes the connection, before the
	// first request is written.
	var last [512]byte
	_ = g.Conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // the connection is lost in any case
	m, _ := g.Conn.Read(last[:])
	_ = g.scan.look(last[:m])
	g.err = g.scan.because(err)
	return n, g.err
}

// Read implements net.Conn. What it gives has been looked at: a header that
// asks for too much is an error, and so is everything after it.
func (g *guard) Read(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Conn.Read(b)
	g.since += n
	bad := g.scan.look(b[:n])
	if bad == nil && g.since > maxReply {
		bad = fmt.Errorf("reply of more than %d bytes", maxReply)
	}
	if bad != nil {
		g.err = bad
		return 0, bad
	}
	if n == 0 && err != nil {
		err = g.scan.because(err)
	}
	return n, err
}

// scanner follows a stream of replies. The zero value is at its start.
type scanner struct {
	resp3   bool
	skip    int    // bytes of a string, with its end, that are still to come
	line    []byte // beginning of a line that is not complete
	lines   int    // that were complete
	failure string // the first line, if it is an error
}

// because adds to the error that ends a connection what the server said when
// it took it, if it said nothing else: it is full, or protected.
func (s *scanner) because(err error) error {
	var slow net.Error
	if s.failure == "" || s.lines > 1 || errors.As(err, &slow) && slow.Timeout() {
		return err
	}
	return fmt.Errorf("connection closed after %q: %w", s.failure, err)
}

// look looks at the bytes that follow.
func (s *scanner) look(b []byte) error {
	for len(b) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b = b[n:]
			continue
		}
		end := 0
		for end < len(b) && b[end] != '\n' {
			end++
		}
		if len(s.line)+end > maxLine {
			return fmt.Errorf("line of more than %d bytes in a reply", maxLine)
		}
		s.line = append(s.line, b[:end]...)
		if end == len(b) {
			if s.limit() < 0 {
				return notRedis(s.line)
			}
			return nil
		}
		b = b[end+1:]
		if err := s.header(); err != nil {
			return err
		}
		s.line = s.line[:0]
	}
	return nil
}

func notRedis(line []byte) error {
	return fmt.Errorf("reply is not of the Redis protocol: %.40q", line)
}

// limit gives the largest number that a line may announce: 0 for a line that
// announces none, -1 for one that is not of the protocol.
func (s *scanner) limit() int {
	if len(s.line) == 0 {
		return -1
	}
	switch s.line[0] {
	case '+', '-', ':':
		return 0
	case '$':
		return maxBulk
	case '*':
		return maxArray
	}
	if !s.resp3 {
		return -1
	}
	switch s.line[0] {
	case '_', '#', ',', '(':
		return 0
	case '=', '!':
		return maxBulk
	case '%', '~', '>', '|':
		return maxArray
	}
	return -1
}

// header looks at a complete line.
func (s *scanner) header() error {
	n, limit := len(s.line), s.limit()
	if n < 2 || s.line[n-1] != '\r' || limit < 0 {
		return notRedis(s.line)
	}
	s.lines++
	text := string(s.line[1 : n-1])
	if limit == 0 {
		if s.line[0] == '-' && s.lines == 1 {
			s.failure = text
		}
		return nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < -1 || count > limit {
		return fmt.Errorf("reply announces %.40q (max %d)", s.line[:n-1], limit)
	}
	if limit == maxBulk && count >= 0 {
		s.skip = count + 2
	}
	return nil
}
