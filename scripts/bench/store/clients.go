package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// conn is a socket with plain blocking system calls, one to ask and one
// to read the answer: the cheapest client there can be.
type conn struct {
	fd  int
	out []byte
	in  []byte
	got int // bytes of in
}

func connect(path string) (*conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	return &conn{fd: fd, in: make([]byte, 4096)}, nil
}

// ask sends what out has, and forgets what was read before.
func (c *conn) ask() error {
	c.got = 0
	for rest := c.out; len(rest) > 0; {
		n, err := unix.Write(c.fd, rest)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		rest = rest[n:]
	}
	return nil
}

// more reads what there is.
func (c *conn) more() error {
	for {
		n, err := unix.Read(c.fd, c.in[c.got:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("read", err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		c.got += n
		return nil
	}
}

// answer reads until the answer is so long.
func (c *conn) answer(length int) error {
	for c.got < length {
		if err := c.more(); err != nil {
			return err
		}
	}
	return nil
}

// want reads an answer that is known.
func (c *conn) want(text string) error {
	for c.got < len(text) {
		if err := c.more(); err != nil {
			return err
		}
	}
	if string(c.in[:c.got]) != text {
		return fmt.Errorf("answered %.100q, want %q", c.in[:c.got], text)
	}
	return nil
}

// value reads an answer whose first line ends with the length of the value,
// which is followed by some bytes more.
func (c *conn) value(first string, after int) error {
	for {
		if line := bytes.IndexByte(c.in[:c.got], '\n'); line > 0 {
			if !bytes.HasPrefix(c.in[:c.got], []byte(first)) || !bytes.HasSuffix(c.in[:line-1], valueDigits) {
				return fmt.Errorf("answered %.100q", c.in[:c.got])
			}
			return c.answer(line + 1 + valueSize + after)
		}
		if err := c.more(); err != nil {
			return err
		}
	}
}

var valueDigits = strconv.AppendInt(nil, valueSize, 10)

// redis is a client of Redis, or of whoever speaks its protocol.
type redis struct{ *conn }

func (r *redis) command(words ...[]byte) {
	r.out = append(r.out[:0], '*')
	r.out = strconv.AppendInt(r.out, int64(len(words)), 10)
	r.out = append(r.out, '\r', '\n')
	for _, w := range words {
		r.out = append(r.out, '$')
		r.out = strconv.AppendInt(r.out, int64(len(w)), 10)
		r.out = append(r.out, '\r', '\n')
		r.out = append(r.out, w...)
		r.out = append(r.out, '\r', '\n')
	}
}

var wordGet, wordSet = []byte("GET"), []byte("SET")

func (r *redis) get(key string) error {
	r.command(wordGet, []byte(key))
	if err := r.ask(); err != nil {
		return err
	}
	return r.value("$", len("\r\n"))
}

func (r *redis) set(key string, value []byte) error {
	r.command(wordSet, []byte(key), value)
	if err := r.ask(); err != nil {
		return err
	}
	return r.want("+OK\r\n")
}

// memcached is a client of memcached's text protocol.
type memcached struct{ *conn }

func (m *memcached) get(key string) error {
	m.out = append(append(append(m.out[:0], "get "...), key...), "\r\n"...)
	if err := m.ask(); err != nil {
		return err
	}
	return m.value("VALUE ", len("\r\nEND\r\n"))
}

func (m *memcached) set(key string, value []byte) error {
	m.out = append(append(append(m.out[:0], "set "...), key...), " 0 0 256\r\n"...)
	m.out = append(append(m.out, value...), "\r\n"...)
	if err := m.ask(); err != nil {
		return err
	}
	return m.want("STORED\r\n")
}
