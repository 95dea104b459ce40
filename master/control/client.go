package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// connectTimeout bounds the connect: a listener whose queue is full would
	// block it for as long as it stays so.
	connectTimeout = time.Second
	// sendTimeout bounds the sending of one line, at most MaxLine bytes, which
	// a socket buffer holds.
	sendTimeout = 5 * time.Second
	// maxAnswer bounds one line back. A status of 65,536 workers has less.
	maxAnswer = 64 << 20
)

// ErrNotRunning says that nobody listens at a path: there is no socket, or
// the master that made it is gone.
var ErrNotRunning = errors.New("control: no master listens there")

// Client is a connection to a master's control socket. One goroutine may use
// it; Close may be called from another, which ends a Do that waits.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
	path string
}

// Dial connects to the control socket at a path. It returns an error that is
// ErrNotRunning when nobody listens there, and os.ErrPermission when the
// caller is not allowed to ask.
func Dial(ctx context.Context, path string) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return &Client{conn: conn, in: bufio.NewReader(conn), path: path}, nil
	case absent(err):
		return nil, fmt.Errorf("connect %s: %w", path, ErrNotRunning)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("connect %s: no answer in %s", path, connectTimeout)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return nil, fmt.Errorf("connect %s: %w", path, err)
}

// absent says that a connect failed because nobody listens: no socket at the
// path, or one whose master is gone (unix(7), connect(2)).
func absent(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTSOCK)
}

// Close ends the connection. What was asked goes on in the master.
func (c *Client) Close() error { return c.conn.Close() }

// Do asks once and waits for the answer; progress is called for each line of
// it that comes before, and may be nil. It ends early when ctx does. An answer
// that is not OK is no error of Do.
func (c *Client) Do(ctx context.Context, r Request, progress func(string)) (Answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })
	defer stop()
	a, err := c.do(r, progress)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Answer{}, fmt.Errorf("%s at %s: %w", r.Command, c.path, err)
	}
	return a, nil
}

func (c *Client) do(r Request, progress func(string)) (Answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	line = append(line, '\n')
	if len(line) > MaxLine {
		return Answer{}, fmt.Errorf("request of %d bytes (max %d)", len(line), MaxLine)
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return Answer{}, err
	}
	// A master that refuses before it reads has closed already: its reason
	// stands in what it sent, so a failed write is told only without one.
	_, wrote := c.conn.Write(line)
	for {
		line, err := c.line()
		if err != nil {
			if wrote != nil {
				err = wrote
			}
			return Answer{}, err
		}
		var a Answer
		if err := json.Unmarshal(line, &a); err != nil {
			return Answer{}, fmt.Errorf("answer is not of this protocol: %w", err)
		}
		if a.Progress == "" {
			return a, nil
		}
		if progress != nil {
			progress(a.Progress)
		}
	}
}

// line reads one line, without its end.
func (c *Client) line() ([]byte, error) {
	var line []byte
	for {
		part, err := c.in.ReadSlice('\n')
		if len(line)+len(part) > maxAnswer {
			return nil, fmt.Errorf("answer of more than %d bytes", maxAnswer)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, errors.New("the master closed the connection without an answer")
		default:
			return nil, err
		}
	}
}
