package control_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/control"
)

// serve listens at a path and hands the one connection and its request line to
// answer; the connection closes when that returns.
func serve(t *testing.T, answer func(c net.Conn, line string)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		line, _ := bufio.NewReader(c).ReadString('\n')
		answer(c, line)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return path
}

func do(t *testing.T, path string, r control.Request, progress func(string)) (control.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := control.Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.Do(ctx, r, progress)
}

func TestProgressComesBeforeTheAnswer(t *testing.T) {
	path := serve(t, func(c net.Conn, line string) {
		if line != `{"command":"scale","workers":3}`+"\n" {
			t.Errorf("request %q", line)
		}
		_, _ = c.Write([]byte("{\"progress\":\"one\"}\n{\"progress\":\"two\"}\n{\"ok\":true,\"result\":\"done\"}\n"))
	})
	var seen []string
	a, err := do(t, path, control.Request{Command: control.CmdScale, Workers: 3}, func(s string) { seen = append(seen, s) })
	if err != nil || !a.OK || a.Result != "done" || strings.Join(seen, " ") != "one two" {
		t.Errorf("%+v, %v, progress %q", a, err, seen)
	}
}

func TestLongAnswerIsReadWhole(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	path := serve(t, func(c net.Conn, _ string) { _, _ = c.Write([]byte(`{"ok":true,"result":"` + long + "\"}\n")) })
	if a, err := do(t, path, control.Request{Command: control.CmdStatus}, nil); err != nil || a.Result != long {
		t.Errorf("%d bytes, %v", len(a.Result), err)
	}
}

func TestEndlessAnswerIsGivenUp(t *testing.T) {
	path := serve(t, func(c net.Conn, _ string) {
		block := make([]byte, 1<<20)
		for range 65 {
			if _, err := c.Write(block); err != nil {
				return // the client has closed
			}
		}
	})
	if _, err := do(t, path, control.Request{Command: control.CmdStatus}, nil); err == nil || !strings.Contains(err.Error(), "answer of more than 67108864 bytes") {
		t.Errorf("%v", err)
	}
}

func TestLongRequestIsNotSent(t *testing.T) {
	path := serve(t, func(_ net.Conn, line string) {
		if line != "" {
			t.Errorf("%d bytes came", len(line))
		}
	})
	if _, err := do(t, path, control.Request{Command: strings.Repeat("x", control.MaxLine)}, nil); err == nil || !strings.Contains(err.Error(), "(max 65536)") {
		t.Errorf("%v", err)
	}
}

func TestRefusalThatDoesNotReadTheRequestIsStillTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte(`{"ok":false,"error":"too many clients"}` + "\n"))
			_ = c.Close()
		}
	}()
	c, err := control.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	<-closed
	if a, err := c.Do(context.Background(), control.Request{Command: control.CmdStatus}, nil); err != nil || a.Error != "too many clients" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	release := make(chan struct{})
	path := serve(t, func(net.Conn, string) { close(asked); <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(context.Background())
	c, err := control.Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() { <-asked; cancel() }()
	if _, err := c.Do(ctx, control.Request{Command: control.CmdReload}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestNobodyListensReadsAsNotRunning(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{stale, plain, filepath.Join(dir, "none"), filepath.Join(plain, "below")} {
		if _, err := control.Dial(context.Background(), path); !errors.Is(err, control.ErrNotRunning) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestFullQueueIsGivenUp: a connect to a listener that accepts nobody blocks
// once its queue is full.
func TestFullQueueIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		c, err := control.Dial(context.Background(), path)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			continue
		}
		if errors.Is(err, control.ErrNotRunning) {
			t.Errorf("a full queue reads as not running: %v", err)
		}
		return
	}
	t.Error("eight connects to a queue of one")
}

func TestPeerIsTheOneThatListens(t *testing.T) {
	path := serve(t, func(net.Conn, string) {})
	c, err := control.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if pid, err := c.PeerPID(); err != nil || pid != os.Getpid() {
		t.Errorf("pid %d, %v", pid, err)
	}
}

// FuzzAnswer: no answer, whatever its bytes, makes the client panic or wait.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}\n", `{"ok":true}` + "\n", `{"progress":"x"}` + "\n{}\n", `{"ok":1}` + "\n", "[]\n", "null\n", "{\n",
		`{"ok":true,"status":{"workers":[{"slot":-1,"since":"x"}]}}` + "\n", strings.Repeat("[", 10000) + "\n", "\xff\x00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		path := serve(t, func(c net.Conn, _ string) { _, _ = c.Write(answer) })
		_, _ = do(t, path, control.Request{Command: control.CmdStatus}, nil)
	})
}
