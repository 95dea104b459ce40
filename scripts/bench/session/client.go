package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// client is one browser: a connection that it keeps, and a session.
type client struct {
	conn     net.Conn
	requests [2][]byte // ready to be written, by path
	in       []byte
}

func connect(socket string) (*client, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: make([]byte, 16<<10)}
	for i, path := range paths {
		c.requests[i] = []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n")
	}
	answer, err := c.ask(1)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_, cookie, found := bytes.Cut(answer, []byte("Set-Cookie: "))
	if !found {
		return nil, errors.Join(fmt.Errorf("no cookie in %.300q", answer), conn.Close())
	}
	cookie, _, _ = bytes.Cut(cookie, []byte(";"))
	c.requests[1] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\nCookie: %s\r\n\r\n", paths[1], cookie)
	return c, nil
}

// lastChunk ends an answer: the page is above the 2,048 bytes up to which
// net/http gives a length, so it comes in chunks (RFC 9112 section 7.1).
var lastChunk = []byte("\r\n0\r\n\r\n")

// ask asks for a page and gives the answer, which the next call overwrites.
func (c *client) ask(which int) ([]byte, error) {
	if _, err := c.conn.Write(c.requests[which]); err != nil {
		return nil, err
	}
	for got := 0; ; {
		n, err := c.conn.Read(c.in[got:])
		if err != nil {
			return nil, err
		}
		got += n
		switch answer := c.in[:got]; {
		case bytes.HasSuffix(answer, lastChunk):
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
				return nil, fmt.Errorf("answered %.300q", answer)
			}
			return answer, nil
		case got == len(c.in):
			return nil, fmt.Errorf("answered %.300q and more", answer)
		}
	}
}

// round is what one round gave.
type round struct {
	requests int64
	took     time.Duration
	cpu      time.Duration // of the workers
}

func (r round) rate() float64 { return float64(r.requests) / r.took.Seconds() }

// measure has all clients ask for one path for a while.
func measure(p *pool, clients []*client, which int, d time.Duration) (round, error) {
	before, err := p.cpu()
	if err != nil {
		return round{}, err
	}
	var all sync.WaitGroup
	var requests atomic.Int64
	failed := make([]error, len(clients))
	began := time.Now()
	for i, c := range clients {
		all.Go(func() {
			for time.Since(began) < d && failed[i] == nil {
				_, failed[i] = c.ask(which)
				requests.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	after, err := p.cpu()
	return round{requests.Load(), took, after - before}, errors.Join(append(failed, err)...)
}
