package session_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/worker/session"
)

const (
	tokenEnv = "SESSION_TEST_TOKEN"
	storeFD  = 3 // of a role
	rounds   = 50
)

func init() {
	roles["count"] = countRole
	roles["hold"] = holdRole
}

// inSegment gives a manager over the segment that this process was handed.
func inSegment() (*session.Manager, error) {
	s, err := store.Open(storeFD, store.Options{})
	if err != nil {
		return nil, err
	}
	return session.New(s), nil
}

// exclusive runs a handler for a request with a token, alone.
func exclusive(m *session.Manager, token string, h http.HandlerFunc) error {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	w := httptest.NewRecorder()
	m.Exclusive(h).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("status %d: %s", w.Code, w.Body)
	}
	return nil
}

func add(m *session.Manager) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "n", m.GetInt(r.Context(), "n")+1)
	}
}

// countRole counts alone, and puts keys of its own beside others.
func countRole() error {
	m, err := inSegment()
	if err != nil {
		return err
	}
	token := os.Getenv(tokenEnv)
	for i := range rounds {
		if err := exclusive(m, token, add(m)); err != nil {
			return err
		}
		if a := do(m, token, put(m, fmt.Sprintf("%d.%d", os.Getpid(), i), i)); a.StatusCode != http.StatusOK {
			return fmt.Errorf("put: status %d", a.StatusCode)
		}
	}
	return nil
}

// holdRole holds its session until it is killed.
func holdRole() error {
	m, err := inSegment()
	if err != nil {
		return err
	}
	return exclusive(m, os.Getenv(tokenEnv), func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "held", true)
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin) // for as long as the test lives
	})
}

// pool is a segment with a session in it.
type pool struct {
	t     *testing.T
	file  *os.File
	m     *session.Manager // of the test's process
	token string
}

func newPool(t *testing.T) *pool {
	t.Helper()
	seg, err := store.Create(store.Config{Size: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(seg.FD(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(uintptr(seg.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pool{t: t, file: os.NewFile(uintptr(fd), "store"), m: session.New(s)}
	t.Cleanup(func() { _ = errors.Join(s.Close(), seg.Close(), p.file.Close()) })
	p.token = begin(t, p.m, map[string]any{"n": 0})
	return p
}

func (p *pool) command(role string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, tokenEnv+"="+p.token, "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{p.file}
	return cmd
}

func TestWorkersOfAPoolLoseNoUpdate(t *testing.T) {
	p := newPool(t)
	const workers = 4
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			if out, err := p.command("count").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	do(p.m, p.token, func(_ http.ResponseWriter, r *http.Request) {
		if n := p.m.GetInt(r.Context(), "n"); n != workers*rounds {
			t.Errorf("counted %d, want %d", n, workers*rounds)
		}
		if n := len(p.m.Keys(r.Context())); n != workers*rounds+1 {
			t.Errorf("%d keys, want %d", n, workers*rounds+1)
		}
	})
}

// start runs a worker that says something and then waits for the end of its
// stdin, which the caller closes.
func (p *pool) start(t *testing.T, role, says string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := p.command(role)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != says {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd, stdin
}

func TestDeathOfAWorkerFreesItsSession(t *testing.T) {
	p := newPool(t)
	cmd, stdin := p.start(t, "hold", "held\n")
	p.m.LockWait = 50 * time.Millisecond
	if err := exclusive(p.m, p.token, add(p.m)); err == nil {
		t.Error("two workers hold one session")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.m.LockWait = 20 * time.Second // far below LockTTL
	if err := exclusive(p.m, p.token, add(p.m)); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed
	_ = stdin.Close()
	if got := values(t, p.m, p.token); got != "map[n:1]" {
		t.Errorf("the session has %s", got)
	}
}
