package worker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// pair gives a connection in the worker's care and its other end.
func pair(t *testing.T, progress time.Duration, state http.ConnState) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := (&connSet{}).add(near, progress, state)
	t.Cleanup(func() { _ = errors.Join(c.Close(), far.Close()) })
	return c, far
}

func TestWriteEndsWhenNothingIsTaken(t *testing.T) {
	c, _ := pair(t, time.Millisecond, http.StateActive)
	if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDeadlineOfTheProgramReplacesProgress(t *testing.T) {
	c, far := pair(t, time.Millisecond, http.StateActive)
	if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 64<<20))
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("the write ended by itself: %v", err)
	case <-time.After(1500 * time.Millisecond): // progress would have ended it
	}
	if _, err := io.CopyN(io.Discard, far, 64<<20); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadFromCopiesFilesWhole(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{0, 1, 1 << 20, 1<<20 + 1, int64(len(want)), int64(len(want)) + 1, -1} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		c, far := pair(t, time.Minute, http.StateActive)
		got := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(far) // what is missing shows below
			got <- b
		}()
		var r io.Reader = f
		if limit >= 0 {
			r = io.LimitReader(f, limit)
		}
		n, err := c.(io.ReaderFrom).ReadFrom(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		size := int64(len(want))
		if limit >= 0 {
			size = min(size, limit)
		}
		if b := <-got; n != size || !bytes.Equal(b, want[:size]) {
			t.Errorf("limit %d: copied %d, got %d bytes, want %d", limit, n, len(b), size)
		}
	}
}

// A connection that is to end while a request's bytes are unread serves them.
func TestEndSparesWhatIsUnread(t *testing.T) {
	nc, far := pair(t, 0, http.StateIdle)
	c := nc.(*conn)
	if _, err := io.WriteString(far, "GET"); err != nil {
		t.Fatal(err)
	}
	for c.unread() < 3 { // loopback: it is on its way
		if err := c.duplex.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	c.end()
	b := make([]byte, 8)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "GET" {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	if c.quiet() {
		t.Error("a connection with half a request counts as quiet")
	}
}

func TestEndOfAQuietConnectionIsTheEndOfItsInput(t *testing.T) {
	nc, _ := pair(t, 0, http.StateIdle)
	nc.(*conn).end()
	if n, err := nc.Read(make([]byte, 8)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestDeadlineOfTheServerIsTold(t *testing.T) {
	nc, _ := pair(t, 0, http.StateActive)
	nc.(*conn).end()
	if err := nc.SetReadDeadline(time.Unix(1, 0)); err != nil { // as net/http ends its background read
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
