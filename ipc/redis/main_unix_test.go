//go:build unix

package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/redis"
)

var ctx = context.Background()

// TestMain is the role of a process that holds a lock, when PREFORK_TEST_HOLDER
// is the URL of its store.
func TestMain(m *testing.M) {
	if url := os.Getenv("PREFORK_TEST_HOLDER"); url != "" {
		if err := hold(url); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something that must become true.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %v not yet: %s", patience, what)
		}
	}
}

// server is a redis-server of our own.
type server struct {
	t      testing.TB
	dir    string
	port   int
	args   []string
	socket string
	cmd    *exec.Cmd
}

// program finds a program of Debian's packages redis-server, redis-sentinel
// and redis-tools.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install redis-server redis-sentinel", name)
	}
	return path
}

// handedOut are the ports that this process has given to its servers.
var handedOut sync.Map

// freePort gives a port that was free a moment ago. redis-server takes no port
// 0 for "any"; below 55535, so that the bus port of a cluster (+10000) exists.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		must(t, l.Close())
		if _, taken := handedOut.LoadOrStore(port, true); !taken && port < 55535 {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// startServer starts one on a port and on a Unix socket.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), port: freePort(t), args: args}
	s.socket = filepath.Join(s.dir, "s")
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	args := append([]string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--unixsocket", s.socket, "--unixsocketperm", "700",
		"--dir", s.dir, "--save", "", "--daemonize", "no", "--loglevel", "notice",
	}, s.args...)
	s.run(program(s.t, "redis-server"), "Ready to accept connections", args...)
}

// run starts a program and waits for a line.
func (s *server) run(path, line string, args ...string) {
	s.t.Helper()
	s.cmd = exec.Command(path, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.cmd.StdoutPipe()
	must(s.t, err)
	s.cmd.Stderr = os.Stderr
	must(s.t, s.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		var said []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said = append(said, lines.Text())
			if strings.Contains(lines.Text(), line) {
				ready <- ""
				said = nil
			}
		}
		ready <- strings.Join(said, "\n") // nobody reads a second one
	}()
	select {
	case text := <-ready:
		if text != "" {
			s.t.Fatalf("%s ended:\n%s", path, text)
		}
	case <-time.After(patience):
		s.t.Fatalf("%s did not say %q", path, line)
	}
}

// signal sends it a signal.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	must(s.t, s.cmd.Process.Signal(sig))
}

// kill ends it, stopped or not.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *server) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) url() string { return "redis://" + s.addr() }

// cli runs redis-cli and gives what it printed.
func (s *server) cli(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(program(s.t, "redis-cli"), append([]string{"-p", fmt.Sprint(s.port)}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("redis-cli %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// empty removes everything. It is done before every test of a suite: a
// redis-cli for each would take longer than the tests.
func (s *server) empty() {
	s.t.Helper()
	c, err := net.Dial("unix", s.socket)
	must(s.t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("FLUSHALL\r\n"))
	must(s.t, err)
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "+OK\r\n" {
		s.t.Fatalf("flushall: %q, %v", line, err)
	}
}

func open(t testing.TB, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(ctx, url)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}
