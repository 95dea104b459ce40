package sockets_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// The role accepts on descriptor 3 with the strategy in SOCKETS_TEST_STRATEGY
// and sends its name to each client. It does what it reads on stdin:
//
//	accept   one connection
//	serve    accept for ever, in the background
//	leave    leave the queue, serve what it was woken for, say "left"
//	rejoin   join again, and serve
//	sweep    make one accept sweep
const (
	strategyEnv = "SOCKETS_TEST_STRATEGY"
	nameEnv     = "SOCKETS_TEST_NAME"
)

var acceptRole = role("accept", func() {
	s, err := sockets.ParseStrategy(os.Getenv(strategyEnv))
	if err != nil {
		fail(err)
	}
	l, err := sockets.Accept(3, sockets.AcceptOptions{Strategy: s, Workers: 2})
	if err != nil {
		fail(err)
	}
	say := func(c net.Conn) {
		_, _ = io.WriteString(c, os.Getenv(nameEnv)+"\n") // a client that has gone is the test's to notice
		_ = c.Close()
	}
	left := make(chan struct{}, 1)
	serve := func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, sockets.ErrLeft) {
				left <- struct{}{}
				return
			}
			if err != nil {
				fail(err)
			}
			say(c)
		}
	}
	// Read through the runtime's poller: as in any server something waits there
	// while nobody accepts.
	if err := unix.SetNonblock(0, true); err != nil {
		fail(err)
	}
	stdin := os.NewFile(0, "stdin")
	fmt.Println("up")
	serving := false
	for in := bufio.NewScanner(stdin); in.Scan(); fmt.Println("done") {
		switch in.Text() {
		case "accept":
			c, err := l.Accept()
			if err != nil {
				fail(err)
			}
			say(c)
		case "serve":
			serving = true
			go serve()
		case "leave":
			l.Leave(-1)
			if !serving {
				go serve()
			}
			<-left
			serving = false
		case "rejoin":
			l.Rejoin()
			serving = true
			go serve()
		case "sweep":
			l.Sweep()
		}
	}
})

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// acceptor is a process in the role "accept".
type acceptor struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (a *acceptor) tell(line string) {
	a.t.Helper()
	a.send(line)
	a.expect("done")
}

func (a *acceptor) send(line string) {
	a.t.Helper()
	if _, err := io.WriteString(a.in, line+"\n"); err != nil {
		a.t.Fatal(err)
	}
}

func (a *acceptor) expect(want string) {
	a.t.Helper()
	got, err := a.out.ReadString('\n')
	if err != nil || got != want+"\n" {
		a.t.Fatalf("process %d said %q, %v; want %q", a.cmd.Process.Pid, got, err, want)
	}
}

// kill ends the process without a chance to do anything.
func (a *acceptor) kill() {
	a.t.Helper()
	if err := a.cmd.Process.Kill(); err != nil {
		a.t.Fatal(err)
	}
	_ = a.cmd.Wait() // "signal: killed"
}

// awaitPoller waits until a thread of the process waits in epoll: only such a
// one is woken.
func (a *acceptor) awaitPoller() {
	a.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); time.Now().Before(deadline); <-tick.C {
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", a.cmd.Process.Pid))
		if err != nil {
			a.t.Fatal(err)
		}
		for _, path := range paths {
			// The number of the call that the thread is blocked in comes first:
			// proc(5). The runtime waits in epoll_pwait.
			if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), fmt.Sprint(unix.SYS_EPOLL_PWAIT, " ")) {
				return
			}
		}
	}
	a.t.Fatal("no thread waits in epoll")
}

// shared is a listening socket as a master makes it: blocking.
type shared struct {
	t    *testing.T
	file *os.File
	addr string
}

func newShared(t *testing.T) *shared {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 128)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	s := &shared{t: t, file: os.NewFile(uintptr(fd), "listener"), addr: fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)}
	t.Cleanup(func() { _ = s.file.Close() })
	return s
}

func (s *shared) start(name string, strategy sockets.Strategy) *acceptor {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+acceptRole, strategyEnv+"="+string(strategy), nameEnv+"="+name, "GOMAXPROCS=1",
		"GORACE=atexit_sleep_ms=0") // the race detector waits a second at each exit
	cmd.ExtraFiles = []*os.File{s.file}
	var errs strings.Builder
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	a := &acceptor{t: s.t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	s.t.Cleanup(func() {
		_ = in.Close() // the end of its stdin ends the role
		if cmd.ProcessState == nil {
			if err := cmd.Wait(); err != nil {
				s.t.Errorf("%s: %v\n%s", name, err, errs.String())
			}
		}
	})
	a.expect("up")
	return a
}

// caller connects and gives what the acceptor says, within the time.
type caller struct{ net.Conn }

func (s *shared) connect() caller {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return caller{c}
}

func (c caller) served(d time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// long is for what is sure to come on a loaded machine.
const long = 10 * time.Second

var exclusives = []sockets.Strategy{sockets.Exclusive, sockets.Fair, sockets.Rotate}

// stalled gives a process that is first in the queue and has been woken for a
// connection which it does not accept, and a second one that serves.
func stalled(t *testing.T, strategy sockets.Strategy) (*shared, *acceptor, *acceptor, caller) {
	s := newShared(t)
	first := s.start("first", strategy)
	// Once it has accepted, its listener is in the queue and nobody accepts.
	first.send("accept")
	if who, err := s.connect().served(long); who != "first" {
		t.Fatalf("served by %q, %v; want the only one", who, err)
	}
	first.expect("done")
	second := s.start("second", strategy)
	second.tell("serve")
	first.awaitPoller()
	second.awaitPoller()
	return s, first, second, s.connect()
}

func TestConnectionWhoseWorkerIsKilledAfterTheWakeUpIsServedAfterASweep(t *testing.T) {
	for _, strategy := range exclusives {
		t.Run(string(strategy), func(t *testing.T) {
			for range 5 {
				_, first, second, c := stalled(t, strategy)
				first.kill()
				second.tell("sweep")
				if who, err := c.served(long); who != "second" {
					t.Fatalf("served by %q, %v", who, err)
				}
			}
		})
	}
}

func TestConnectionWhoseWorkerLeavesAfterTheWakeUpIsServed(t *testing.T) {
	for _, strategy := range append(exclusives, sockets.Naive, sockets.Blocking) {
		t.Run(string(strategy), func(t *testing.T) {
			for range 5 {
				_, first, _, c := stalled(t, strategy)
				first.tell("leave")
				if who, err := c.served(long); err != nil {
					t.Fatalf("served by %q, %v", who, err)
				}
			}
		})
	}
}

func TestWorkerThatHasLeftGetsNothingAndComesBack(t *testing.T) {
	for _, strategy := range append(exclusives, sockets.Naive, sockets.Blocking, sockets.Auto) {
		t.Run(string(strategy), func(t *testing.T) {
			s := newShared(t)
			first, second := s.start("first", strategy), s.start("second", strategy)
			first.tell("serve")
			second.tell("serve")
			for range 3 {
				first.tell("leave")
				for range 10 {
					if who, err := s.connect().served(long); who != "second" {
						t.Fatalf("served by %q, %v; the first has left", who, err)
					}
				}
				first.tell("rejoin")
				second.tell("leave")
				if who, err := s.connect().served(long); who != "first" {
					t.Fatalf("served by %q, %v; the second has left", who, err)
				}
				second.tell("rejoin")
			}
		})
	}
}

func TestConnectionThatWaitsWhenAllHaveLeftIsServedByTheFirstThatRejoins(t *testing.T) {
	for _, strategy := range append(exclusives, sockets.Naive, sockets.Blocking) {
		t.Run(string(strategy), func(t *testing.T) {
			s := newShared(t)
			first := s.start("first", strategy)
			first.tell("serve")
			first.tell("leave")
			c := s.connect()
			first.tell("rejoin")
			if who, err := c.served(long); who != "first" {
				t.Fatalf("served by %q, %v", who, err)
			}
		})
	}
}

// The exclusive strategies must not be the herd in disguise.
func TestExclusiveWakesOneWorker(t *testing.T) {
	s := newShared(t)
	const n = 8
	var all []*acceptor
	for i := range n {
		a := s.start(fmt.Sprint(i), sockets.Exclusive)
		a.tell("serve")
		all = append(all, a)
	}
	served := make(map[string]int)
	const conns = 50
	for range conns {
		who, err := s.connect().served(long)
		if err != nil {
			t.Fatal(err)
		}
		served[who]++
	}
	// The first in the queue is idle whenever the next connection comes, but for
	// what the machine does besides.
	if len(served) == n {
		t.Errorf("served by %v: every worker was woken", served)
	}
	for _, a := range all {
		a.tell("leave")
	}
}

func TestAcceptChangesNoFlagButNonblock(t *testing.T) {
	for strategy, want := range map[sockets.Strategy]bool{sockets.Naive: true, sockets.Fair: true, sockets.Blocking: false} {
		t.Run(string(strategy), func(t *testing.T) {
			s := newShared(t)
			before := flags(t, s)
			a := s.start("a", strategy)
			a.tell("serve")
			if _, err := s.connect().served(long); err != nil {
				t.Fatal(err)
			}
			a.tell("leave")
			after := flags(t, s)
			if nonblock := after&unix.O_NONBLOCK != 0; nonblock != want {
				t.Errorf("O_NONBLOCK is %v, want %v", nonblock, want)
			}
			if after&^unix.O_NONBLOCK != before&^unix.O_NONBLOCK {
				t.Errorf("flags were %#x and are %#x", before, after)
			}
		})
	}
}

func flags(t *testing.T, s *shared) (n int) {
	t.Helper()
	raw, err := s.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { n, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return n
}
