package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// client is one client: at most one connection, at most one request at a
// time. It belongs to the loop.
type client struct {
	number int
	mode   Mode
	fd     int // -1: no connection
	events uint32
	phase  clientPhase
	wake   int64 // with phase resting or retrying: when to go on, ns

	request  []byte       // what is left to send
	due      int64        // when the request was to be sent, ns from the loop's begin
	sent     int64        // when it was: its timeout counts from here
	opened   int64        // when the connection was begun
	answered int          // answers on this connection
	worker   *workerCount // of this connection; nil: no answer named it
	answer   answer
}

type clientPhase int

const (
	idle     clientPhase = iota // wants a request; may have a connection
	resting                     // wants none until wake
	retrying                    // connects again at wake: a Unix socket's backlog was full
	connecting
	sending
	waiting
)

// start begins a request that was due at a moment.
func (l *loop) start(c *client, due int64) {
	c.due, c.sent = due, l.now()
	c.request = l.requests[c.mode]
	c.answer.begin()
	if c.fd >= 0 {
		c.phase = sending
		l.send(c)
		return
	}
	c.opened = c.sent
	l.connect(c)
}

func (l *loop) connect(c *client) {
	c.answered, c.worker = 0, nil
	fd, err := unix.Socket(l.target.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		c.phase = connecting
		l.fail(c, err)
		return
	}
	c.fd, c.events = fd, 0
	if l.target.family != unix.AF_UNIX {
		// The body follows the headers in one write; nothing is to wait for
		// an acknowledgement.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	switch err := unix.Connect(fd, l.target.to); err {
	case nil:
		l.connected(c)
	case unix.EINPROGRESS:
		c.phase = connecting
		l.want(c, unix.EPOLLOUT)
	case unix.EAGAIN:
		// unix(7): the backlog is full. There is no event for room in it.
		l.close(c)
		c.phase, c.wake = retrying, l.now()+int64(retryEvery)
	default:
		c.phase = connecting
		l.fail(c, err)
	}
}

func (l *loop) connected(c *client) {
	l.result.Opened++
	l.result.Connect.Add(time.Duration(l.now() - c.opened))
	c.phase = sending
	l.send(c)
}

func (l *loop) send(c *client) {
	for len(c.request) > 0 {
		n, err := unix.SendmsgN(c.fd, c.request, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			c.request = c.request[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			l.want(c, unix.EPOLLIN|unix.EPOLLOUT)
			return
		default:
			l.fail(c, err)
			return
		}
	}
	c.phase = waiting
	l.want(c, unix.EPOLLIN)
}

// ready takes an event of the client's connection.
func (l *loop) ready(c *client) {
	switch c.phase {
	case connecting:
		code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			l.fail(c, err)
			return
		}
		l.connected(c)
	case sending:
		// An answer, or the end, may come before all is sent.
		if l.receive(c); c.phase == sending && c.fd >= 0 {
			l.send(c)
		}
	case waiting:
		l.receive(c)
	case idle, resting:
		// The server closed a connection on which nothing was asked, or talks
		// out of turn; either way it is of no use any more.
		l.result.IdleClosed++
		l.close(c)
	}
}

func (l *loop) receive(c *client) {
	n, err := unix.Read(c.fd, l.buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.fail(c, err)
		return
	case n == 0:
		if !c.answer.started {
			l.failed(c, EOFBefore, "the connection was closed")
		} else if err := c.answer.eof(); err != nil {
			l.failed(c, EOFIn, "the connection was closed: "+err.Error())
		} else {
			l.complete(c)
		}
		return
	}
	if err := c.answer.feed(l.buf[:n]); err != nil {
		l.failed(c, BadResponse, err.Error())
	} else if c.answer.done() {
		l.complete(c)
	}
}

// complete takes a whole answer.
func (l *loop) complete(c *client) {
	if len(c.answer.worker) > 0 {
		c.worker = l.workerOf(c.answer.worker)
	}
	if err := c.answer.good(); err != nil {
		kind := BadBody
		if c.answer.status != 200 {
			kind = BadStatus
		}
		l.failed(c, kind, err.Error())
		return
	}
	l.good(c)
	c.answered++
	// An answer to half a request ends the connection too: the rest of the
	// request would be read as another one.
	if c.mode == Fresh || c.answer.close || len(c.request) > 0 {
		l.close(c)
	}
	l.rest(c, 0)
}

// fail ends a request with what the kernel said.
func (l *loop) fail(c *client, err error) {
	kind := Other
	switch err {
	case unix.ECONNREFUSED, unix.ENOENT:
		kind = Refused
	case unix.ECONNRESET, unix.EPIPE:
		kind = Reset
	case unix.ETIMEDOUT:
		kind = TimedOut
	}
	l.failed(c, kind, err.Error())
}

func (l *loop) failed(c *client, kind Kind, text string) {
	phase := Connect
	switch c.phase {
	case sending:
		phase = Send
	case waiting:
		phase = Wait
	}
	if c.answer.started {
		phase = Body
	}
	e := Error{
		Began: time.Duration(c.sent), Ended: time.Duration(l.now()), Mode: c.mode, Client: c.number,
		Kind: kind, Phase: phase, Answered: c.answered, Text: text,
	}
	if c.worker != nil {
		e.Worker = c.worker.name
	}
	l.record(e)
	l.close(c)
	l.rest(c, int64(pause))
}

// want sets what the loop waits for on the client's connection.
func (l *loop) want(c *client, events uint32) {
	if c.events == events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if c.events == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	c.events = events
	event := unix.EpollEvent{Events: events, Fd: int32(c.number)}
	if err := unix.EpollCtl(l.epoll, op, c.fd, &event); err != nil {
		panic(fmt.Sprintf("load: epoll_ctl: %v", err)) // arguments are right, memory is there
	}
}

func (l *loop) close(c *client) {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // which takes it out of the epoll
	}
	c.fd, c.events = -1, 0
}
