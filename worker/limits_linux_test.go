package worker_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
)

func TestConnectionWhoseWorkerIsKilledIsServedAfterTheLifelinesSweep(t *testing.T) {
	for range 5 {
		p := newPool(t)
		p.accept = "exclusive"
		stalled := p.start(stalledRole)
		stalled.out.await(t, "accepts")
		expectEOF(t, dial(t, p.addr))
		stalled.out.await(t, "stalled")
		a := p.spawn(serveRole)
		stalled.awaitPoller()
		a.awaitPoller()
		c := dial(t, p.addr) // wakes the stalled one
		send(t, c, get("/who"))
		if err := stalled.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		stalled.wait()
		a.write(ipc.LifelineSweep)
		expectBody(t, c, "1")
	}
}

// awaitPoller waits until a thread of the worker waits in epoll_pwait, as the
// runtime's poller does.
func (a *proc) awaitPoller() {
	a.t.Helper()
	a.await("a thread in epoll", func() bool {
		dir := fmt.Sprintf("/proc/%d/task", a.cmd.Process.Pid)
		tasks, err := os.ReadDir(dir)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, task := range tasks {
			text, err := os.ReadFile(dir + "/" + task.Name() + "/syscall")
			if err == nil && strings.HasPrefix(string(text), fmt.Sprint(unix.SYS_EPOLL_PWAIT, " ")) {
				return true
			}
		}
		return false
	})
}

// await waits for a state of the worker.
func (a *proc) await(what string, is func() bool) {
	a.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); !is(); <-tick.C {
		if time.Now().After(deadline) {
			a.t.Fatalf("worker has not: %s\nstderr: %s", what, a.err)
		}
	}
}

func TestCapHoldsConnectionsBackUntilOneEnds(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvMaxConns+"=1", "GOMAXPROCS=1")
	first := dial(t, p.addr)
	send(t, first, get("/who"))
	expectBody(t, first, "0")
	// The kernel may have woken the worker for one more before it left.
	var more []net.Conn
	for range 4 {
		c := dial(t, p.addr)
		send(t, c, get("/who"))
		more = append(more, c)
	}
	if s, err := p.board.Read(a.cell); err != nil || s.Connections > 2 {
		t.Errorf("%d connections, %v; the cap is 1", s.Connections, err)
	}
	for _, c := range append([]net.Conn{first}, more...) {
		if c != first {
			expectBody(t, c, "0")
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClassicPreforkServesAll(t *testing.T) {
	for _, accept := range []string{"auto", "naive", "blocking"} {
		t.Run(accept, func(t *testing.T) {
			p := newPool(t)
			p.accept = accept
			for range 3 {
				p.spawn(serveRole, ipc.EnvMaxConns+"=1")
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					c := &poster{addr: p.addr, body: []byte("x")}
					for range 50 {
						if err := c.post(); err != nil {
							t.Error(err)
							return
						}
						c.close()
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestWithoutDescriptorsAcceptingPausesAndSaysSo(t *testing.T) {
	p := newPool(t)
	a := p.spawn(narrowRole)
	var all []net.Conn
	for range 20 {
		all = append(all, dial(t, p.addr))
	}
	began := time.Now()
	a.err.await(t, "too many open files")
	before := cpu(t, a.cmd.Process.Pid)
	// Nothing can be accepted for a while.
	last := all[len(all)-1]
	send(t, last, get("/who"))
	if err := last.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := last.Read(make([]byte, 1)); n > 0 {
		t.Fatalf("served although no descriptor is left (%v)", err)
	}
	if used := cpu(t, a.cmd.Process.Pid) - before; used > 500*time.Millisecond {
		t.Errorf("the worker spun: %v of CPU in a second", used)
	}
	// Once a second, and at the first time, which may be before this began.
	if n, d := strings.Count(a.err.String(), "too many open files"), time.Since(began); float64(n) > d.Seconds()+2 {
		t.Errorf("it was said %d times in %v: %s", n, d, a.err)
	}
	for _, c := range all[:len(all)-1] {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := last.SetReadDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	expectBody(t, last, "0")
	a.signal(syscall.SIGTERM)
	a.expectExit(0)
}

// cpu is what the process has used, from /proc/PID/stat in ticks of 10 ms.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var user, system int64
	f := strings.Fields(rest)
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func TestDescriptorsLimitConnectionsBeforeAcceptFails(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, "WORKER_TEST_NOFILE=48")
	var all []net.Conn
	for range 60 {
		all = append(all, dial(t, p.addr))
	}
	last := all[len(all)-1]
	send(t, last, get("/who"))
	for _, c := range all[:len(all)-1] {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	expectBody(t, last, "0")
	if s := a.err.String(); s != "" {
		t.Errorf("stderr is %q", s)
	}
}

// The 10 s of Serve itself are waited for in scripts/faults, by hundreds of
// clients; TestServeBoundsItsClients has the number.
func TestSlowHeadersAreCut(t *testing.T) {
	p := newPool(t)
	p.spawn(hastyRole)
	c := dial(t, p.addr)
	began := time.Now()
	send(t, c, "GET /who HTTP/1.1\r\nHost")
	if err := c.SetReadDeadline(began.Add(long)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < hasty-100*time.Millisecond {
		t.Errorf("cut after %v, want %v", d, hasty)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	p := newPool(t)
	p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, "GET /who HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 40<<10)+"\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestCellCountsConnectionsAndRequests(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	for range 3 {
		send(t, c, get("/who"))
		expectBody(t, c, "0")
	}
	s, err := p.board.Read(a.cell)
	if err != nil || s.Connections != 1 || s.Requests != 3 || s.Accepted != 1 || s.LastActive.IsZero() {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.await("close its connection", func() bool {
		s, err := p.board.Read(a.cell)
		return err == nil && s.Connections == 0
	})
}

func TestAloneServesAndStopsAtInterrupt(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+aloneRole, "GORACE=atexit_sleep_ms=0")
	out, errs := newBuffer(), newBuffer()
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "\n")
	errs.await(t, "alone: sessions are not shared")
	c := dial(t, strings.TrimSpace(out.String()))
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, errs)
	}
}
