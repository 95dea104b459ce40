package resp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"
)

// wire is a client that shows replies as they came.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, path string) *wire {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &wire{t, c, bufio.NewReaderSize(c, 1<<16)}
}

// encode writes a command.
func encode(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// do sends a command and gives its reply.
func (w *wire) do(args ...string) string {
	w.t.Helper()
	w.send(encode(args...))
	return w.reply()
}

func (w *wire) reply() string {
	w.t.Helper()
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	b, err := readReply(w.r)
	if err != nil {
		w.t.Fatalf("read a reply: %v after %q", err, b)
	}
	return string(b)
}

// rest gives what comes until the server closes.
func (w *wire) rest() string {
	w.t.Helper()
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	var b bytes.Buffer
	_, err := io.Copy(&b, w.r)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		w.t.Fatalf("the connection stays open after %q", b.String())
	}
	return b.String()
}

// readReply gives the bytes of one reply, in RESP2 or RESP3.
func readReply(r *bufio.Reader) ([]byte, error) { return appendReply(nil, r) }

func appendReply(all []byte, r *bufio.Reader) ([]byte, error) {
	from := len(all)
	line, err := r.ReadSlice('\n')
	if all = append(all, line...); err != nil {
		return all, err
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(all[from+1:])))
	switch all[from] {
	case '$', '=':
		if n < 0 {
			return all, nil
		}
		end := len(all)
		all = append(all, make([]byte, n+2)...)
		_, err = io.ReadFull(r, all[end:])
		return all, err
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return all, nil
	}
	for range n {
		if all, err = appendReply(all, r); err != nil {
			return all, err
		}
	}
	return all, nil
}

// untilLine reads until a line has the text.
func untilLine(r io.Reader, text string) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), []byte(text)) {
			return nil
		}
	}
	return fmt.Errorf("it ended before the line %q: %w", text, io.ErrUnexpectedEOF)
}
