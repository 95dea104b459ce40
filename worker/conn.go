package worker

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"prefork/ipc/scoreboard"
)

// duplex is what *net.TCPConn and *net.UnixConn have in common. io.ReaderFrom
// is not: the ReadFrom of *net.UnixConn is that of net.PacketConn.
type duplex interface {
	net.Conn
	CloseWrite() error
	CloseRead() error
	syscallConn
}

// conn is an accepted connection that the worker can end without losing a
// request. Its decision to end is made by the goroutine that reads from it,
// so no byte is read and then thrown away.
type conn struct {
	duplex
	set      *connSet
	progress time.Duration // of Serve's own server: a write must progress within it; 0: not watched

	state        atomic.Int32 // http.ConnState; of other servers http.StateHijacked
	since        atomic.Int64 // monotonic nanoseconds: when state was entered
	read         atomic.Int64 // monotonic nanoseconds: when bytes were last read in a state other than active; 0: none in this state
	tls          atomic.Bool
	readDeadline atomic.Int64 // as set from outside, Unix nanoseconds; 0: none
	leave        atomic.Bool  // the worker wants it closed, if nothing is unread

	armed     atomic.Int64 // when the write deadline was last moved on
	deadlines atomic.Bool  // somebody else has set a write deadline: progress is theirs

	serving atomic.Bool        // the handler of a request of HTTP/1 runs
	request scoreboard.Request // that one's account

	closed sync.Once
	prev   *conn // guarded by set.mu
	next   *conn // guarded by set.mu
}

// start is what monotonic nanoseconds count from.
var start = time.Now()

func now() int64 { return int64(time.Since(start)) }

// Read reads as the connection does. Where the worker wants an idle
// connection to end, the deadline in the past that woke the reader becomes
// the end of input, unless bytes are there: those are a request.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.duplex.Read(p)
		c.countRead(int64(n))
		if n > 0 && http.ConnState(c.state.Load()) != http.StateActive {
			c.read.Store(now())
		}
		if err == nil || n > 0 || !c.leave.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		theirs := c.readDeadline.Load()
		if theirs != 0 && theirs <= time.Now().UnixNano() {
			return n, err
		}
		if c.quiet() && c.unread() == 0 {
			return 0, io.EOF
		}
		c.leave.Store(false)
		t := time.Time{}
		if theirs != 0 {
			t = time.Unix(0, theirs)
		}
		if err := c.duplex.SetReadDeadline(t); err != nil {
			return 0, err
		}
	}
}

// SetReadDeadline remembers what was set from outside: the worker's own
// deadline is told from it, and gives way to it.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.remember(t)
	return c.duplex.SetReadDeadline(t)
}

func (c *conn) remember(t time.Time) {
	if t.IsZero() {
		c.readDeadline.Store(0)
		return
	}
	c.readDeadline.Store(max(1, t.UnixNano()))
}

// writeChunk is how much must go out within one progress deadline.
const writeChunk = 64 << 10

// Write writes by pieces, so that what goes out is seen while it does, and
// moves the deadline on before each: a client that takes something now and
// then is served for ever, one that takes nothing is not.
func (c *conn) Write(p []byte) (int, error) {
	for done := 0; ; {
		if c.progress != 0 && !c.deadlines.Load() {
			c.moveOn()
		}
		piece := p[done:]
		if len(piece) > writeChunk {
			piece = piece[:writeChunk]
		}
		n, err := c.duplex.Write(piece)
		c.countWritten(int64(n))
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// ReadFrom keeps sendfile(2) and splice(2), piece by piece, so that what goes
// out is seen while it does. net looks through one io.LimitedReader only
// (net/sendfile.go), so that of the caller is replaced, not wrapped.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	to, ok := c.duplex.(io.ReaderFrom)
	if !ok {
		return io.Copy(writer{c}, r)
	}
	var done int64
	limit := int64(-1)
	lr, limited := r.(*io.LimitedReader)
	if limited {
		r, limit = lr.R, lr.N
	}
	for limit != 0 {
		if c.progress != 0 && !c.deadlines.Load() {
			c.moveOn()
		}
		piece := int64(16 * writeChunk)
		if limited {
			piece = min(piece, limit)
		}
		n, err := to.ReadFrom(&io.LimitedReader{R: r, N: piece})
		c.countWritten(n)
		done += n
		if limited {
			limit -= n
			lr.N = limit
		}
		if err != nil || n < piece {
			return done, err
		}
	}
	return done, nil
}

// writer hides ReadFrom from io.Copy, which would come back to it.
type writer struct{ io.Writer }

// moveOn sets the write deadline, at most once a second.
func (c *conn) moveOn() {
	t := now()
	if last := c.armed.Load(); last != 0 && t-last < int64(time.Second) {
		return
	}
	c.armed.Store(t)
	_ = c.duplex.SetWriteDeadline(time.Now().Add(c.progress + time.Second)) // fails on a closed connection only: the write says so
}

// SetWriteDeadline: one that is set from outside replaces the worker's own
// until it is taken back. net/http takes back after every request what it may
// never have set; that costs nothing here.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.progress == 0 {
		return c.duplex.SetWriteDeadline(t)
	}
	if t.IsZero() && !c.deadlines.Swap(false) {
		return nil
	}
	if !t.IsZero() {
		c.deadlines.Store(true)
	}
	c.armed.Store(0)
	return c.duplex.SetWriteDeadline(t)
}

// SetDeadline is what net/http calls when a connection is hijacked: from then
// on deadlines are the hijacker's.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadlines.Store(true)
	c.remember(t)
	return c.duplex.SetDeadline(t)
}

// Close may be called more than once.
func (c *conn) Close() error {
	err := c.duplex.Close()
	c.closed.Do(func() { c.set.remove(c) })
	return err
}

// enter records the state that net/http reports.
func (c *conn) enter(s http.ConnState) {
	if s == http.StateHijacked {
		c.request.End() // what follows is no request
	}
	if s != http.StateActive {
		c.read.Store(0)
		c.since.Store(now())
	}
	c.state.Store(int32(s))
}

// quiet says whether nothing of a request has been read since the last
// response. Of a TLS connection that is new, what was read may be the handshake.
func (c *conn) quiet() bool {
	switch http.ConnState(c.state.Load()) {
	case http.StateIdle:
		return c.read.Load() == 0
	case http.StateNew:
		return c.read.Load() == 0 || c.tls.Load()
	}
	return false
}

// mayEnd says whether the connection has been quiet for the linger, counted
// from the drain's start at the earliest.
func (c *conn) mayEnd(linger time.Duration, drainStart int64) bool {
	return c.quiet() && now()-max(c.since.Load(), c.read.Load(), drainStart) >= int64(linger)
}

// end asks the reader to end the connection if nothing is unread.
func (c *conn) end() {
	c.leave.Store(true)
	_ = c.duplex.SetReadDeadline(time.Unix(1, 0)) // fails on a closed connection only
}

// underlying finds the worker's connection in what net/http reports.
func underlying(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		c, _ := t.NetConn().(*conn)
		if c != nil {
			c.tls.Store(true)
		}
		return c
	}
	c, _ := nc.(*conn)
	return c
}
