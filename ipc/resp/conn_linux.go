package resp

import "golang.org/x/sys/unix"

// event is a turn of a client that epoll named. One that is in the queue is
// not read from: it has enough to do.
func (l *loop) event(c *conn, events uint32) {
	if events&unix.EPOLLOUT != 0 && !l.send(c) {
		return
	}
	if events&^uint32(unix.EPOLLOUT) == 0 || c.queued {
		return
	}
	if c.closing || c.ended {
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.drop(c) // nobody is left to read what waits
		}
		return
	}
	l.receive(c)
}

// receive reads once and executes what came. What a client sends whole is
// executed where it was read; only what is not complete gets a buffer.
func (l *loop) receive(c *conn) {
	into := l.read[:]
	if len(c.in) > 0 {
		if !l.grow(c) {
			return
		}
		into = c.in[len(c.in):cap(c.in)]
		into = into[:min(len(into), turnInput)]
	}
	n, err := receive(c.fd, into)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.drop(c)
		return
	case n == 0:
		c.ended = true
		l.watch(c)
		l.work(c)
		return
	}
	c.last = l.wall
	b := into[:n]
	if len(c.in) > 0 {
		c.in = c.in[:len(c.in)+n]
		b = c.in
	}
	l.answer(c, b)
}

// work is a turn of a client without an event.
func (l *loop) work(c *conn) {
	if l.conns[c.fd] == c {
		l.answer(c, c.in)
	}
}

// answer executes commands of a client, keeps the rest and sends the replies.
func (l *loop) answer(c *conn, b []byte) {
	l.r.b = l.r.b[:0]
	c.input, c.waiting = len(c.in), len(c.out)-c.sent
	used, more := l.execute(c.client, b)
	l.keep(c, b, used)
	if !l.within(c) {
		return
	}
	if more {
		l.enqueue(c)
	} else if c.ended {
		c.closing = true
	}
	l.flush(c)
}

// enqueue gives a client another turn.
func (l *loop) enqueue(c *conn) {
	if !c.queued {
		c.queued = true
		l.queue = append(l.queue, c)
	}
}

// keep moves what is not executed to the client's buffer.
func (l *loop) keep(c *conn, b []byte, used int) {
	rest := b[used:]
	switch {
	case len(rest) == 0:
		if c.in != nil {
			l.giveBack(c.in)
			c.in = nil
		}
	case c.in == nil:
		c.in = append(l.buffer(len(rest)), rest...)
	case used > 0:
		c.in = c.in[:copy(c.in, rest)]
	}
}

// grow makes room for a read behind what is kept: the buffer at most doubles,
// whatever length was announced. It closes a client that has sent too much for
// one command.
func (l *loop) grow(c *conn) bool {
	if free := cap(c.in) - len(c.in); free >= readSize/2 || (free > 0 && cap(c.in) >= l.maxInput(c.client)) {
		return true
	}
	want := min(max(2*cap(c.in), len(c.in)+readSize), l.maxInput(c.client))
	if want <= len(c.in) {
		c.fault("a command above the bound for input")
		l.r.b = l.r.b[:0]
		l.flush(c)
		return false
	}
	bigger := append(l.buffer(want), c.in...)
	l.giveBack(c.in)
	c.in = bigger
	return l.within(c)
}

// flush sends the replies of this turn, after those that wait.
func (l *loop) flush(c *conn) {
	b := l.r.b
	if cap(b) > 4*turnOutput {
		l.r.b = nil // one great reply is not kept
	}
	if len(c.out) == 0 {
		for len(b) > 0 {
			n, err := send(c.fd, b)
			if err == unix.EINTR {
				continue
			}
			if err == unix.EAGAIN {
				break
			}
			if err != nil {
				l.drop(c)
				return
			}
			b = b[n:]
		}
	}
	if len(b) == 0 && len(c.out) == 0 {
		if c.closing {
			l.drop(c)
		}
		return
	}
	if waiting := len(c.out) - c.sent + len(b); waiting > l.maxOutput(c.client) {
		c.fault("replies that nobody read")
		l.drop(c)
		return
	}
	l.postpone(c, b)
}

// postpone keeps replies until the socket takes them.
func (l *loop) postpone(c *conn, b []byte) {
	if len(b) > 0 {
		if need := len(c.out) - c.sent + len(b); cap(c.out) < len(c.out)+len(b) {
			bigger := append(l.buffer(max(need, min(2*need, l.maxOutput(c.client)))), c.out[c.sent:]...)
			l.giveBack(c.out)
			c.out, c.sent = bigger, 0
		}
		c.out = append(c.out, b...)
	}
	if c.closing && !c.lingers {
		c.last, c.lingers = l.wall, true
		l.lingering++
	}
	l.watch(c)
	l.within(c)
}

// send sends replies that waited. It says false when the client is gone.
func (l *loop) send(c *conn) bool {
	for c.sent < len(c.out) {
		n, err := send(c.fd, c.out[c.sent:])
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return true
		}
		if err != nil {
			l.drop(c)
			return false
		}
		c.sent += n
	}
	l.giveBack(c.out)
	c.out, c.sent = nil, 0
	if c.closing {
		l.drop(c)
		return false
	}
	l.watch(c)
	return true
}

// watch tells epoll what a client is waited for.
func (l *loop) watch(c *conn) {
	var events uint32
	if !c.closing && !c.ended {
		events |= unix.EPOLLIN
	}
	if len(c.out) > 0 {
		events |= unix.EPOLLOUT
	}
	if events == c.events {
		return
	}
	c.events = events
	e := unix.EpollEvent{Events: events, Fd: int32(c.fd)}
	if unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &e) != nil {
		l.drop(c)
	}
}

// drop closes a client.
func (l *loop) drop(c *conn) {
	if l.conns[c.fd] != c {
		return
	}
	l.conns[c.fd] = nil
	delete(l.clients, c.id)
	l.letGo(c.client)
	if c.lingers {
		l.lingering--
	}
	l.giveBack(c.in)
	l.giveBack(c.out)
	c.in, c.out = nil, nil
	_ = unix.Close(c.fd)
	if c.reason != "" && l.o.Closed != nil {
		l.o.Closed(c.reason)
	}
	l.resume()
}
