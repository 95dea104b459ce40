package master

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/master/internal/pool"
)

// holding is a master with one worker, a process of this test, that lets the
// test say who holds the locks of the store.
type holding struct {
	*master
	log    bytes.Buffer
	worker *os.Process
	holder [2]uint64 // id and turn of lock 3
}

func newHolding(t *testing.T) *holding {
	t.Helper()
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{Sys: &unix.SysProcAttr{Setpgid: true}})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(child.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := &holding{worker: child}
	h.master = &master{start: time.Now(), procs: map[pool.ID]*proc{}, helpers: map[pool.ID]*proc{}}
	h.master.log = hclog.New(&hclog.LoggerOptions{Output: &h.log, Level: hclog.Debug})
	p := &proc{id: 2, slot: 1, pid: child.Pid, pidfd: fd, storeID: 17, gen: &generation{number: 1}}
	h.procs[2] = p
	h.store.ids = map[uint64]*proc{17: p}
	h.store.holder = func(shard int) (id, turn uint64, ok bool) { return h.holder[0], h.holder[1], shard == 3 }
	h.tell(pool.Begin{Config: pool.Config{Workers: 2, Surge: func(int) int { return 1 }, StartParallel: 2, DrainTimeout: time.Hour}})
	for id := range pool.ID(2) {
		h.tell(pool.Spawned{ID: id + 1, PID: child.Pid + int(1-id)}, pool.Notified{ID: id + 1, Ready: true, GoLibrary: true})
	}
	t.Cleanup(func() {
		_ = child.Kill()
		_, _ = child.Wait()
		_ = unix.Close(fd)
	})
	return h
}

// tell feeds events to the core alone: nothing is carried out.
func (h *holding) tell(list ...pool.Event) {
	for _, ev := range list {
		h.pool.Step(h.now(), ev)
	}
}

// killed says whether the worker has ended by KILL.
func (h *holding) killed(t *testing.T, within time.Duration) bool {
	t.Helper()
	end := []unix.PollFd{{Fd: int32(h.procs[2].pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(end, int(within.Milliseconds()))
	if err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
	return n == 1
}

func (h *holding) stop(t *testing.T) {
	t.Helper()
	if err := h.worker.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(10 * time.Second); !stopped(h.worker.Pid); {
		if time.Now().After(late) {
			t.Fatal("it does not stop")
		}
	}
}

func TestAStoppedHolderIsKilledAtOnceWithOneLine(t *testing.T) {
	h := newHolding(t)
	h.holder = [2]uint64{17, 5}
	h.stop(t)
	for range 5 {
		h.busy(ipc.Busy{Shard: 3, ID: 17})
	}
	if !h.killed(t, 10*time.Second) {
		t.Fatalf("it lives\n%s", &h.log)
	}
	text := h.log.String()
	if n := strings.Count(text, "killing a process that held the store's lock"); n != 1 || !strings.Contains(text, "lock=3") || !strings.Contains(text, "state T") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if w, _ := h.pool.Worker(2); w.State != pool.StateKilling || w.Why != pool.WhyHeld {
		t.Errorf("%+v", w)
	}
}

// The report is a hint, and anybody can send one.
func TestAReportThatTheLockDoesNotBearOutKillsNobody(t *testing.T) {
	h := newHolding(t)
	h.stop(t)
	for _, c := range []struct {
		holder [2]uint64
		report ipc.Busy
	}{
		{[2]uint64{0, 5}, ipc.Busy{Shard: 3, ID: 17}},  // let go
		{[2]uint64{18, 5}, ipc.Busy{Shard: 3, ID: 17}}, // another one has it
		{[2]uint64{18, 5}, ipc.Busy{Shard: 3, ID: 18}}, // of no process of the table
		{[2]uint64{17, 5}, ipc.Busy{Shard: 4, ID: 17}}, // there is no such lock
		{[2]uint64{17, 5}, ipc.Busy{Shard: 1 << 19, ID: 17}},
	} {
		h.holder = c.holder
		h.busy(c.report)
	}
	if h.killed(t, 50*time.Millisecond) {
		t.Errorf("it was killed:\n%s", &h.log)
	}
	h.store.holder = nil // a pool without a store in memory
	h.busy(ipc.Busy{Shard: 3, ID: 17})
}

func TestARunningHolderHasASecond(t *testing.T) {
	h := newHolding(t)
	h.tell(pool.Scale{To: 1}) // nobody is to take its place
	h.holder = [2]uint64{17, 5}
	h.busy(ipc.Busy{Shard: 3, ID: 17})
	if h.killed(t, 20*time.Millisecond) {
		t.Fatalf("it was killed at once:\n%s", &h.log)
	}
	due := h.pool.NextDeadline()
	h.start = h.start.Add(-2 * time.Second) // time passes
	h.step(pool.Tick{})
	if due <= 0 || due > 2*time.Second || !h.killed(t, 10*time.Second) || !strings.Contains(h.log.String(), "has not let go") {
		t.Errorf("looked at again at %v:\n%s", due, &h.log)
	}
}

func TestAHolderThatHasLetGoMeanwhileLives(t *testing.T) {
	h := newHolding(t)
	h.holder = [2]uint64{17, 5}
	h.busy(ipc.Busy{Shard: 3, ID: 17})
	h.holder = [2]uint64{17, 6} // another turn
	h.start = h.start.Add(-1500 * time.Millisecond)
	h.step(pool.Tick{})
	h.holder = [2]uint64{}
	h.start = h.start.Add(-1500 * time.Millisecond)
	h.step(pool.Tick{})
	if h.killed(t, 50*time.Millisecond) {
		t.Errorf("it was killed:\n%s", &h.log)
	}
}

func TestStateTIsSeen(t *testing.T) {
	h := newHolding(t)
	if stopped(h.worker.Pid) || stopped(1<<30) {
		t.Error("a process that sleeps, or none, counts as stopped")
	}
	h.stop(t)
	if !stopped(h.worker.Pid) {
		t.Error("a stopped process does not")
	}
	// A name may hold what looks like fields: proc_pid_stat(5).
	dir := t.TempDir()
	odd := dir + "/x) T 1"
	text, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(odd, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if stopped(cmd.Process.Pid) {
		t.Error("its name made it count as stopped")
	}
}
