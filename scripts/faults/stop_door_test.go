//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// cpuOf is the processor time of a process, user and system: proc(5), with
// the 100 ticks a second that every Linux tells user space.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatalf("worker %d is gone: %v", pid, err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest) // from the third field of stat on
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// Between the closing of the door and the stop signal no worker spins, and
// none dies: nothing has happened to what they wait on. To make that time
// long, the pool has a second socket that no worker accepts from, with a
// connection in its queue: the master waits for it for half the drain timeout.
// The pools stand there side by side, since all that they do is wait.
func TestNoWorkerSpinsOrDiesBehindTheClosedDoor(t *testing.T) {
	needPrograms(t, python, "node")
	pools := []*doorPool{
		{name: "node", command: []string{"node", programFile(t, "server.js")}},
		{name: "asyncio", command: []string{python, programFile(t, "aio.py")}},
		{name: "blocking", command: []string{python, programFile(t, "blocking.py")}},
		{name: "http.server", command: []string{python, programFile(t, "http_server.py")}},
		{name: "go", command: RoleCommand(t, "first")},
	}
	for _, p := range pools {
		p.start(t)
	}
	for _, p := range pools {
		p.prepare(t)
	}
	const halfDrain = 2 * time.Second
	began := time.Now()
	for _, p := range pools {
		p.Signal(t, syscall.SIGTERM)
	}
	for _, p := range pools {
		Eventually(t, "the door closed", func() bool { _, err := os.Lstat(p.first); return err != nil })
		if _, err := net.Dial("unix", p.first); err == nil {
			t.Errorf("%s: somebody gets in", p.name)
		}
	}
	window := time.NewTimer(time.Second) // of the 2 s until the stop signal
	<-window.C
	for _, p := range pools {
		p.used = p.processorTime(t) - p.used // fails when one is gone
	}
	if time.Since(began) > halfDrain-100*time.Millisecond {
		t.Skip("missing: a processor; the stop signal may have come before the measurement")
	}
	for _, p := range pools {
		Figure(t, "closed-door-"+p.name, "2 workers used %v of processor time in the second behind the closed door", p.used)
		if p.used > 300*time.Millisecond {
			t.Errorf("%s: the workers used %v of processor time while they had nothing to do", p.name, p.used)
		}
	}
	for _, p := range pools {
		if code, sig := p.Wait(t); code != 0 {
			t.Errorf("%s: stop: exit %d (signal %v)", p.name, code, sig)
		}
	}
}

// doorPool is a pool whose door is closed while a connection waits at another.
type doorPool struct {
	*Pool
	name    string
	command []string
	first   string // the socket that its workers accept from
	second  string
	workers []control.Worker
	used    time.Duration // processor time of the workers
}

func (p *doorPool) start(t *testing.T) {
	dir := tempDir(t)
	p.first, p.second = filepath.Join(dir, "first"), filepath.Join(dir, "second")
	p.Pool = Start(t, Options{
		Flags:   []string{"-w", "2", "--settle", "0", "--drain-timeout", "4s"},
		Listen:  []string{"unix:" + p.first, "unix:" + p.second},
		Command: p.command,
		NoWait:  true,
	})
}

// prepare has a request served, and one that nobody will serve.
func (p *doorPool) prepare(t *testing.T) {
	p.WaitReady(t)
	conn, err := net.Dial("unix", p.first)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := exchange(conn, bufio.NewReader(conn), false); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	waiting, err := net.Dial("unix", p.second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = waiting.Close() })
	p.workers = p.settled(t, 2)
	p.used = p.processorTime(t)
}

func (p *doorPool) processorTime(t *testing.T) time.Duration {
	var sum time.Duration
	for _, w := range p.workers {
		sum += cpuOf(t, w.PID)
	}
	return sum
}

// door counts what happened to connections around a stop.
type door struct {
	mu       sync.Mutex
	answered int
	refused  int // connects
	wrong    []error
}

// Stops without a delay while connects arrive without pause: whoever has
// connected is answered, whoever has not is refused. Nobody is reset.
func TestStopResetsNobodyWhoHasConnected(t *testing.T) {
	rounds := Count(t, 50) // each lasts the second after which a dropped SYN is sent again
	var d door
	for round := range rounds {
		p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named")})
		addr := p.Addr(t)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for d.try(addr) {
				}
			})
		}
		Eventually(t, "the load under way", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.answered > 200*(round+1)
		})
		p.Stop(t)
		wg.Wait()
	}
	Figure(t, "stop-syn", "%d stops: %d connections answered, %d connects refused, %d connections lost", rounds, d.answered, d.refused, len(d.wrong))
	if len(d.wrong) > 0 {
		t.Errorf("%d connections were lost: %v", len(d.wrong), d.wrong[:min(5, len(d.wrong))])
	}
}

// try makes one request; false: the service is gone.
func (d *door) try(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if isRefused(err) {
			d.refused++
		} else {
			d.wrong = append(d.wrong, err)
		}
		return false
	}
	_, _, err = exchange(conn, bufio.NewReader(conn), false)
	_ = conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.wrong = append(d.wrong, err)
		return false
	}
	d.answered++
	return true
}
