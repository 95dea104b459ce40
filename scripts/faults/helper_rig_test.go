//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/master/control"
)

// asleep is a pool of programs that do nothing: its helper is what is tested.
func asleep(t testing.TB, flags ...string) *Pool {
	t.Helper()
	return Start(t, sleeping(flags...))
}

func sleeping(flags ...string) Options {
	return Options{
		Flags:   append([]string{"-w", "2", "--ready", "alive:0s", "--settle", "0s"}, flags...),
		Command: []string{"sleep", "1000"},
	}
}

// helper is the pool's only one, as status has it.
func (p *Pool) helper(t testing.TB) control.Helper {
	t.Helper()
	s := p.Status(t)
	if len(s.Store.Helpers) != 1 {
		t.Fatalf("helpers %+v, want one", s.Store.Helpers)
	}
	return s.Store.Helpers[0]
}

// untilHelper waits for a state of the pool's only helper.
func (p *Pool) untilHelper(t testing.TB, what string, holds func(control.Helper) bool) control.Helper {
	t.Helper()
	s := p.Until(t, what, func(s control.Status) bool { return len(s.Store.Helpers) == 1 && holds(s.Store.Helpers[0]) })
	return s.Store.Helpers[0]
}

func inState(state string) func(control.Helper) bool {
	return func(h control.Helper) bool { return h.State == state }
}

// respConn is one client of a store's socket.
type respConn struct {
	net.Conn
	in *bufio.Reader
}

func dialStore(path string) (*respConn, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return &respConn{c, bufio.NewReader(c)}, nil
}

// errReply is what a store answers when it does not do what it is asked.
type errReply string

func (e errReply) Error() string { return string(e) }

// ask sends one command and gives its reply as text; "(nil)" for none.
func (c *respConn) ask(args ...string) (string, error) {
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '-':
		return "", errReply(line[1:])
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "(nil)", err
		}
		value := make([]byte, n+2)
		if _, err := io.ReadFull(c.in, value); err != nil {
			return "", err
		}
		return string(value[:n]), nil
	}
	return "", errors.New("no reply: " + line)
}

// askStore sends one command on a connection of its own.
func askStore(path string, args ...string) (string, error) {
	c, err := dialStore(path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.ask(args...)
}

// mustStore is askStore that must succeed.
func mustStore(t testing.TB, path string, args ...string) string {
	t.Helper()
	reply, err := askStore(path, args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return reply
}
