package worker_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/ipc/scoreboard"
)

// long is for what is sure to come, on a loaded machine too.
const long = 20 * time.Second

// pool is as much of a master as the worker library sees.
type pool struct {
	t     *testing.T
	file  *os.File // the shared listener, blocking
	addr  string
	board *scoreboard.Board
	next  int

	accept    string
	ownStderr bool // the worker's stderr is a pipe whose read end it holds
}

func newPool(t *testing.T) *pool {
	t.Helper()
	return newPoolOn(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

func newUnixPool(t *testing.T) *pool {
	t.Helper()
	return newPoolOn(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")})
}

func newPoolOn(t *testing.T, family int, at unix.Sockaddr) *pool {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err == nil {
		err = unix.Listen(fd, 1024)
	}
	if err != nil {
		t.Fatal(err)
	}
	if at, err = unix.Getsockname(fd); err != nil {
		t.Fatal(err)
	}
	board, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	p := &pool{t: t, file: os.NewFile(uintptr(fd), "listener"), board: board,
		accept: "auto"}
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		p.addr = "127.0.0.1:" + strconv.Itoa(at.Port)
	case *unix.SockaddrUnix:
		p.addr = at.Name
	}
	t.Cleanup(func() { _ = errors.Join(p.file.Close(), board.Close()) })
	return p
}

// proc is one worker.
type proc struct {
	t        *testing.T
	cmd      *exec.Cmd
	notify   *net.UnixConn
	lifeline *os.File // write end
	cell     int
	out      *buffer
	err      *buffer
	ended    chan struct{}
	status   error // of Wait, once ended is closed
}

// start starts a worker and does not wait for it.
func (p *pool) start(role string, env ...string) *proc {
	p.t.Helper()
	slot := p.next
	p.next++
	dir := p.t.TempDir()
	path := filepath.Join(dir, "n")
	n, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		p.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	cell, ok := p.board.Alloc(slot, 1, uint64(slot)+1)
	if !ok {
		p.t.Fatal("no free cell")
	}
	boardFD, err := unix.FcntlInt(uintptr(p.board.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	board := os.NewFile(uintptr(boardFD), "scoreboard")
	a := &proc{t: p.t, cmd: exec.Command(os.Args[0]), notify: n, lifeline: w, cell: cell,
		out: newBuffer(), err: newBuffer(), ended: make(chan struct{})}
	in, err := a.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	a.cmd.ExtraFiles = []*os.File{p.file, r, board}
	a.cmd.Stdout, a.cmd.Stderr = a.out, a.err
	fds := "lifeline:4,scoreboard:5"
	var errs [2]*os.File
	if p.ownStderr {
		if errs[0], errs[1], err = os.Pipe(); err != nil {
			p.t.Fatal(err)
		}
		a.cmd.Stderr = errs[1]
		a.cmd.ExtraFiles = append(a.cmd.ExtraFiles, errs[0])
		fds += ",stderr:6"
	}
	a.cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0",
		ipc.EnvListenFDs+"=1", ipc.EnvListenFDNames+"=web", ipc.EnvNotifySocket+"="+path,
		ipc.EnvSlot+"="+strconv.Itoa(slot), ipc.EnvGeneration+"=1", ipc.EnvWorkers+"=2", ipc.EnvID+"="+strconv.Itoa(slot+1),
		ipc.EnvStopSignal+"=SIGTERM", ipc.EnvDrainTimeout+"=10", ipc.EnvLinger+"=0.5",
		ipc.EnvFDs+"="+fds, ipc.EnvCell+"="+strconv.Itoa(cell), ipc.EnvAccept+"="+p.accept)
	a.cmd.Env = append(a.cmd.Env, env...)
	if err := a.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	_ = errors.Join(r.Close(), board.Close())
	if p.ownStderr { // the worker alone has it now, as when its master is gone
		_ = errors.Join(errs[0].Close(), errs[1].Close())
	}
	go func() {
		a.status = a.cmd.Wait()
		close(a.ended)
	}()
	p.t.Cleanup(func() {
		select {
		case <-a.ended:
		default:
			_ = a.cmd.Process.Kill()
			<-a.ended
		}
		_ = errors.Join(n.Close(), w.Close(), in.Close())
		if p.t.Failed() {
			p.t.Logf("worker %d: %v\nstdout: %sstderr: %s", slot, a.status, a.out, a.err)
		}
	})
	return a
}

// spawn starts a worker and waits until it is ready.
func (p *pool) spawn(role string, env ...string) *proc {
	p.t.Helper()
	a := p.start(role, env...)
	a.expectMessage("X_PREFORK_WORKER=1")
	a.expectMessage("READY=1")
	return a
}

func (a *proc) message() string {
	a.t.Helper()
	b := make([]byte, 4096)
	if err := a.notify.SetReadDeadline(time.Now().Add(long)); err != nil {
		a.t.Fatal(err)
	}
	n, err := a.notify.Read(b)
	if err != nil {
		a.t.Fatalf("read notify message: %v\nstderr: %s", err, a.err)
	}
	return string(b[:n])
}

func (a *proc) expectMessage(want string) {
	a.t.Helper()
	if got := a.message(); got != want {
		a.t.Fatalf("the worker said %q, want %q", got, want)
	}
}

func (a *proc) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

func (a *proc) write(b byte) {
	a.t.Helper()
	if _, err := a.lifeline.Write([]byte{b}); err != nil {
		a.t.Fatal(err)
	}
}

// wait gives the exit code.
func (a *proc) wait() int {
	a.t.Helper()
	select {
	case <-a.ended:
		return a.cmd.ProcessState.ExitCode()
	case <-time.After(long):
		a.t.Fatalf("worker has not ended\nstderr: %s", a.err)
		return -1
	}
}

func (a *proc) expectExit(want int) {
	a.t.Helper()
	if got := a.wait(); got != want {
		a.t.Fatalf("exit code %d (%v), want %d\nstderr: %s", got, a.status, want, a.err)
	}
}

// buffer collects output; await waits for a text in it.
type buffer struct {
	mu   sync.Mutex
	cond *sync.Cond
	b    bytes.Buffer
}

func newBuffer() *buffer {
	b := &buffer{}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cond.Broadcast()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) await(t *testing.T, text string) {
	t.Helper()
	var late bool
	timer := time.AfterFunc(long, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		late = true
		b.cond.Broadcast()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !strings.Contains(b.b.String(), text) {
		if late {
			t.Fatalf("%q did not come; there is %q", text, b.b.String())
		}
		b.cond.Wait()
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network(addr), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	return c
}

func network(addr string) string {
	if addr[0] == '/' {
		return "unix"
	}
	return "tcp"
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func get(path string) string { return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) }
