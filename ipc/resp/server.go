package resp

import (
	"context"
	"time"

	"prefork/ipc/store"
)

// server is the part of Serve that knows no socket: it executes what is in a
// buffer, and leaves the replies in another.
type server struct {
	o       Options
	store   store.Store
	into    intoStore // the store, when it reads into the caller's memory
	warm    warmer    // the store, when it takes hints
	ctx     context.Context
	started time.Time
	scripts scripts

	r       reply // of the client whose turn it is
	value   []byte
	argv    [][]byte
	ahead   ahead
	waited  bool // in this turn, for a process that keeps a part of the store
	clients map[int64]*client
	memory  int64 // of the buffers of all clients, and what steps keep
	lastID  int64

	accepted, refused, commands int64

	wall time.Time // at about the beginning of this turn
}

// intoStore is a store that reads a value into memory of the caller's, and that
// keeps neither a key nor a value that it is given.
type intoStore interface {
	GetInto(ctx context.Context, key string, into []byte) (store.Entry, bool, error)
}

// client is one connection, as far as the commands know it.
type client struct {
	id             int64
	fd             int
	since, last    time.Time
	name           string
	lib, libVer    string
	guest          bool // has not authenticated
	three          bool // speaks RESP3
	mute           muteMode
	is             bounds
	p              parser
	refusing       bool              // behind a MULTI: its commands must not be executed one by one
	command        string            // the last one, for CLIENT LIST
	step           func() (end bool) // goes on with a command that takes several turns
	parked         bool              // step waits for another thread
	closing        bool              // nothing more is executed; it is closed when its replies have left
	reason         string            // why, when it is the client's own fault
	held           int               // bytes that step keeps
	input, waiting int               // bytes in its buffers, for CLIENT LIST
}

// muteMode is what CLIENT REPLY has set.
type muteMode uint8

const (
	speak muteMode = iota
	muteNext
	muteThis
	muteAll
)

func newServer(ctx context.Context, s store.Store, o Options) *server {
	into, _ := s.(intoStore)
	warm, _ := s.(warmer)
	return &server{
		o: o.withDefaults(), store: s, into: into, warm: warm, ctx: context.WithoutCancel(ctx), started: time.Now(),
		scripts: knownScripts(), clients: map[int64]*client{},
	}
}

// join makes a client.
func (s *server) join(fd int) *client {
	s.lastID++
	s.accepted++
	now := time.Now()
	c := &client{id: s.lastID, fd: fd, since: now, last: now}
	s.restrict(c, s.o.Password != "")
	s.clients[c.id] = c
	return c
}

// restrict sets what a client may send, before and after authentication.
func (s *server) restrict(c *client, guest bool) {
	c.guest = guest
	if guest {
		c.is = bounds{args: guestArgs, bulk: guestBulk, guest: true, inline: s.o.Inline}
	} else {
		c.is = bounds{args: maxArgs, bulk: min(maxBulk, s.o.MaxInput), inline: s.o.Inline}
	}
}

// maxInput and maxOutput are bounds of a client's buffers.
func (s *server) maxInput(c *client) int {
	if c.guest {
		return min(guestInput, s.o.MaxInput)
	}
	return s.o.MaxInput
}

func (s *server) maxOutput(c *client) int {
	if c.guest {
		return min(guestOutput, s.o.MaxOutput)
	}
	return s.o.MaxOutput
}

// fault ends a client for something that it did.
func (c *client) fault(reason string) {
	if !c.closing {
		c.closing, c.reason = true, reason
	}
}

// execute runs the commands in b, which belong to one client, as many as one
// turn may have. The replies are appended to s.r. It gives how much of b is
// done with, and whether a complete command may be in what is left.
func (s *server) execute(c *client, b []byte) (used int, more bool) {
	defer s.ahead.forget()
	s.r.three = c.three
	s.waited = false
	start := len(s.r.b)
	for range turnCommands {
		if c.closing {
			return len(b), false
		}
		if len(s.r.b)-start >= turnOutput || s.waited {
			return used, true
		}
		if c.step != nil {
			mark := len(s.r.b)
			if c.step() {
				s.letGo(c)
			}
			s.hush(c, mark)
			if c.step != nil {
				return used, true
			}
			continue
		}
		args, n := s.ahead.next(&c.is)
		if n == 0 && !c.p.begun() {
			s.plan(b[used:], &c.is)
			args, n = s.ahead.next(&c.is)
		}
		if n > 0 {
			used += n
			s.one(c, args)
			continue
		}
		complete, err := c.p.next(b[used:], &c.is)
		if err != nil {
			if err != crossProtocol {
				s.r.error("ERR " + err.Error())
			}
			c.fault(err.Error())
			return len(b), false
		}
		if !complete {
			if used == len(b) {
				c.refusing = false // it has seen the answer to MULTI, or will before it sends more
			}
			return used, false
		}
		s.argv = c.p.args(b[used:], s.argv[:0])
		used += c.p.at
		if len(s.argv) > 0 {
			s.one(c, s.argv)
		}
		c.p.again()
		clear(s.argv)
		if cap(s.argv) > 1024 {
			s.argv = nil
		}
	}
	return used, true
}

// one runs one command.
func (s *server) one(c *client, a [][]byte) {
	s.commands++
	mark := len(s.r.b)
	if c.mute == muteNext {
		c.mute = muteThis
	}
	if k := s.find(c, a); k != nil {
		c.command = k.name
		k.run(s, c, a)
	}
	s.hush(c, mark)
}

// hush takes the reply of a command, or of a step of it, back when its client
// asked for none.
func (s *server) hush(c *client, mark int) {
	if c.mute == muteThis || c.mute == muteAll {
		s.r.b = s.r.b[:mark]
	}
	if c.mute == muteThis && c.step == nil {
		c.mute = speak
	}
}

// key gives a key for a call of the store.
func (s *server) key(b []byte) string {
	if s.into != nil {
		return view(b)
	}
	return string(b)
}

// get reads an entry. Its value is good until the next get. It answers when it
// says that it could not.
func (s *server) get(key []byte) (e store.Entry, found, ok bool) {
	if !s.keyFits(key) {
		return store.Entry{}, false, false
	}
	var err error
	if s.into == nil {
		e, found, err = s.store.Get(s.ctx, string(key))
	} else {
		if e, found, err = s.into.GetInto(s.ctx, view(key), s.value[:0]); cap(e.Value) > cap(s.value) {
			s.value = e.Value
		}
	}
	if err != nil {
		s.failed(err)
		return store.Entry{}, false, false
	}
	return e, found, true
}
