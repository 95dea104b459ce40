package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// wire speaks the Redis protocol, version 2, over one connection: what the
// commands of prefork store need of it. A client library would make a fifth of
// this program's size.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

// Bounds of a reply. A bulk is read as it comes, so that an announced length
// costs nothing.
const (
	maxReplyLine  = 64 << 10
	maxReplyBulk  = 512 << 20 // Redis's own
	maxReplyArray = 1 << 20
	maxReplyDepth = 4
)

// wireError is an error that the server answered with.
type wireError string

func (e wireError) Error() string { return string(e) }

// kind is the first word, which is in capitals: ERR, WRONGTYPE, OOM.
func (e wireError) kind() string {
	word, _, _ := strings.Cut(string(e), " ")
	return word
}

// errReply is a reply that is not of the protocol: the connection is of no use
// any more.
var errReply = errors.New("answer is not of the Redis protocol")

func newWire(c net.Conn) *wire {
	return &wire{conn: c, r: bufio.NewReaderSize(c, 64<<10), w: bufio.NewWriterSize(c, 64<<10)}
}

// roundTrip sends commands and reads a reply to each. A wireError takes the
// place of its reply; the error returned is the connection's.
func (c *wire) roundTrip(ctx context.Context, timeout time.Duration, commands ...[]string) ([]any, error) {
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	replies, err := c.exchange(commands)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return replies, err
}

func (c *wire) exchange(commands [][]string) ([]any, error) {
	for _, args := range commands {
		c.send(args)
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range commands {
		var err error
		if replies[i], err = readReply(c.r, maxReplyDepth); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// send writes a command; an error comes at the flush.
func (c *wire) send(args []string) {
	_, _ = c.w.WriteString("*" + strconv.Itoa(len(args)) + "\r\n")
	for _, a := range args {
		_, _ = c.w.WriteString("$" + strconv.Itoa(len(a)) + "\r\n")
		_, _ = c.w.WriteString(a)
		_, _ = c.w.WriteString("\r\n")
	}
}

// readReply gives nil, string, []byte, int64, wireError or []any.
func readReply(r *bufio.Reader, depth int) (any, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	if line == "" {
		return nil, fmt.Errorf("%w: an empty line", errReply)
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return wireError(rest), nil
	case ':', '$', '*':
	default:
		return nil, fmt.Errorf("%w: it begins with %.40q", errReply, line)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: number %.40q", errReply, rest)
	case kind == ':':
		return n, nil
	case n == -1:
		return nil, nil
	case kind == '$' && n >= 0 && n <= maxReplyBulk:
		return readBulk(r, n)
	case kind == '*' && n >= 0 && n <= maxReplyArray && depth > 0:
		return readArray(r, n, depth)
	}
	return nil, fmt.Errorf("%w: length %d", errReply, n)
}

func readArray(r *bufio.Reader, n int64, depth int) (any, error) {
	list := make([]any, 0, min(n, 1024))
	for range n {
		element, err := readReply(r, depth-1)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}

// readLine gives a line without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n') // not more than the buffer
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("%w: a line of more than %d bytes", errReply, maxReplyLine)
	case err != nil:
		return "", cut(err)
	case len(line) < 2 || line[len(line)-2] != '\r':
		return "", fmt.Errorf("%w: line %.40q", errReply, line)
	}
	return string(line[:len(line)-2]), nil
}

func readBulk(r *bufio.Reader, n int64) (any, error) {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, n); err != nil {
		return nil, cut(err)
	}
	var end [2]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return nil, cut(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return nil, fmt.Errorf("%w: %q behind a text", errReply, end)
	}
	return b.Bytes(), nil
}

// cut says of a connection that ended before the reply did what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
