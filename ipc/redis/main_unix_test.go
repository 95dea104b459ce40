//go:build unix

package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// freePort gives a port that was free a moment ago: redis-server takes no port
// 0 for "any". It is below those that the kernel gives to clients (32768 on),
// one of which could have taken it when a server is restarted; so is the bus
// port of a cluster, 10000 above it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(12000)
		if free(port) && free(port+10000) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// startServer starts one on a port and on a Unix socket. A port that somebody
// else took meanwhile is given up for another.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), args: args}
	s.socket = filepath.Join(s.dir, "s")
	t.Cleanup(s.kill)
	for range 5 {
		s.port = freePort(t)
		if said := s.try(); !strings.Contains(said, "in use") {
			s.began(said)
			return s
		}
		s.kill()
	}
	t.Fatal("every port is in use")
	return nil
}

// began ends the test when a program did not begin.
func (s *server) began(said string) {
	s.t.Helper()
	if said != "" {
		s.t.Fatalf("%s", said)
	}
}

// start starts it again, where it was.
func (s *server) start() {
	s.t.Helper()
	s.began(s.try())
}

func (s *server) try() (said string) {
	s.t.Helper()
	args := append([]string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--unixsocket", s.socket, "--unixsocketperm", "700",
		"--dir", s.dir, "--save", "", "--daemonize", "no", "--loglevel", "notice",
	}, s.args...)
	return s.run(program(s.t, "redis-server"), "Ready to accept connections", args...)
}

// run starts a program and waits for a line. It gives "" or what else was said.
func (s *server) run(path, line string, args ...string) (said string) {
	s.t.Helper()
	s.cmd = exec.Command(path, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.cmd.StdoutPipe()
	must(s.t, err)
	s.cmd.Stderr = os.Stderr
	must(s.t, s.cmd.Start())
	ready := make(chan string, 2)
	go func() {
		var said []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said = append(said, lines.Text())
			if strings.Contains(lines.Text(), line) {
				ready <- ""
				said = nil
			}
		}
		ready <- path + " ended:\n" + strings.Join(said, "\n") // room for it, if nobody reads it
	}()
	select {
	case text := <-ready:
		return text
	case <-time.After(patience):
		return fmt.Sprintf("%s did not say %q", path, line)
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
