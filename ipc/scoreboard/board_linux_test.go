package scoreboard_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/scoreboard"
)

// The segment's layout, written down a second time: the table in layout.go is
// a contract between processes of different builds.
const (
	header, frontSize = 64 << 10, 256
	backs, backSize   = header + 16384*frontSize, 4096
	offHigh           = 8
	offID, offPlace   = 0, 8
	places, placeSize = 1024, 192 // in a back
)

// TestMain lets the test binary be a worker that writes its cell, says so and
// waits to be killed.
func TestMain(m *testing.M) {
	if text := os.Getenv("SCOREBOARD_TEST_CELL"); text != "" {
		os.Exit(worker(text))
	}
	os.Exit(m.Run())
}

func worker(text string) int {
	cell, _ := strconv.Atoi(text)
	c, err := scoreboard.Open(3, cell)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c.SetState(scoreboard.StateReady)
	c.AddConnections(3)
	c.AddAccepted(0)
	c.AddRead(100)
	c.AddWritten(200)
	var ended, serving scoreboard.Request
	for range 6 {
		ended.Begin(c, "GET", "/", "127.0.0.1:1")
		ended.End()
	}
	serving.Begin(c, "POST", "/stuck", "127.0.0.1:2")
	fmt.Println("written")
	select {} // the test kills it
}

func create(t testing.TB) *scoreboard.Board {
	t.Helper()
	b, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func alloc(t testing.TB, b *scoreboard.Board, slot, generation int) (int, *scoreboard.Cell) {
	t.Helper()
	cell, ok := b.Alloc(slot, generation, uint64(1000*generation+slot+1))
	if !ok {
		t.Fatal("no cell is free")
	}
	c, err := scoreboard.Open(b.FD(), cell)
	if err != nil {
		t.Fatal(err)
	}
	return cell, c
}

func TestMasterReadsWhatTheWorkerWrote(t *testing.T) {
	b := create(t)
	before := time.Now()
	cell, c := alloc(t, b, 4, 2)
	c.SetState(scoreboard.StateReady)
	c.AddConnections(5)
	c.AddConnections(-2)
	for listener := range 12 {
		c.AddAccepted(listener)
	}
	c.AddAccepted(1)
	c.AddRead(1000)
	c.AddWritten(10)
	c.AddWritten(30)
	var r scoreboard.Request
	for range 42 {
		r.Begin(c, "GET", "/", "127.0.0.1:1")
		r.End()
	}
	c.Advance()
	got, err := b.Read(cell)
	if err != nil {
		t.Fatal(err)
	}
	if got.LastActive.Before(before.Add(-time.Millisecond)) || got.LastActive.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("last active at %v, want between %v and now", got.LastActive, before)
	}
	got.LastActive = time.Time{}
	want := scoreboard.Snapshot{
		Slot: 4, Generation: 2, ID: 2005, State: scoreboard.StateReady, Connections: 3, Accepted: 13, Requests: 42,
		BytesIn: 1000, BytesOut: 40, Heartbeat: 85,
		AcceptedBy: [scoreboard.MaxListeners + 1]int64{1, 2, 1, 1, 1, 1, 1, 1, 4},
	}
	if got != want {
		t.Errorf("Read = %+v\nwant %+v", got, want)
	}
}

func TestCellOfAKilledWorkerKeepsWhatItWrote(t *testing.T) {
	b := create(t)
	cell, ok := b.Alloc(0, 1, 77)
	if !ok {
		t.Fatal("no cell")
	}
	fd, err := unix.FcntlInt(uintptr(b.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	segment := os.NewFile(uintptr(fd), "scoreboard")
	defer segment.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SCOREBOARD_TEST_CELL="+strconv.Itoa(cell))
	cmd.ExtraFiles = []*os.File{segment}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "written\n" {
		t.Fatalf("worker says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	got, err := b.Read(cell)
	if err != nil || got.Requests != 7 || got.InFlight != 1 || got.Connections != 3 || got.Accepted != 1 || got.ID != 77 ||
		got.BytesIn != 100 || got.BytesOut != 200 || got.LastActive.IsZero() || got.Oldest.IsZero() {
		t.Fatalf("Read = %+v, %v", got, err)
	}
	serving, err := b.Serving(cell)
	// Each look turns the same instant into wall time for itself.
	if err != nil || len(serving) != 1 || serving[0].Path != "/stuck" || serving[0].Since.Sub(got.Oldest).Abs() > time.Second {
		t.Fatalf("Serving = %+v, %v; the oldest is of %v", serving, err, got.Oldest)
	}
	b.Free(cell)
	if got, want := b.Totals(), (scoreboard.Totals{Requests: 7, Accepted: 1, BytesIn: 100, BytesOut: 200, Cut: 1}); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
	again, ok := b.Alloc(1, 1, 78)
	if !ok || again != cell {
		t.Fatalf("Alloc = %d, %v; want the freed cell %d", again, ok, cell)
	}
	if got, err := b.Read(again); err != nil || got != (scoreboard.Snapshot{Slot: 1, Generation: 1, ID: 78}) {
		t.Fatalf("a reused cell has %+v, %v", got, err)
	}
	if h, err := b.Latency(again); err != nil || h.Count() != 0 {
		t.Errorf("a reused cell has %d latencies, %v", h.Count(), err)
	}
	if serving, err := b.Serving(again); err != nil || len(serving) != 0 {
		t.Errorf("a reused cell serves %+v, %v", serving, err)
	}
}

func TestLowestFreeCellComesFirstUntilNoneIsFree(t *testing.T) {
	b := create(t)
	for i := range scoreboard.MaxCells {
		if cell, ok := b.Alloc(i, 1, uint64(i+1)); !ok || cell != i {
			t.Fatalf("Alloc %d = %d, %v", i, cell, ok)
		}
	}
	if cell, ok := b.Alloc(0, 1, 1); ok || b.Used() != scoreboard.MaxCells {
		t.Fatalf("one more: %d, %v, %d used", cell, ok, b.Used())
	}
	for _, cell := range []int{16383, 5, 64, 63} {
		b.Free(cell)
	}
	for _, want := range []int{5, 63, 64, 16383} {
		if cell, ok := b.Alloc(0, 2, 9); !ok || cell != want {
			t.Fatalf("Alloc = %d, %v; want %d", cell, ok, want)
		}
	}
}

func TestFewCellsUseFewPages(t *testing.T) {
	b := create(t)
	for i := range 16 {
		cell, _ := alloc(t, b, i, 1)
		if _, err := b.Read(cell); err != nil {
			t.Fatal(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(b.FD(), &st); err != nil {
		t.Fatal(err)
	}
	// Huge pages of shared memory are a machine's choice (shmem_enabled).
	if used := st.Blocks * 512; used > 2<<20 {
		t.Errorf("16 cells use %d bytes of %d", used, st.Size)
	}
}

func TestWrongCellsAreRefused(t *testing.T) {
	b := create(t)
	alloc(t, b, 0, 1)
	for _, cell := range []int{-1, scoreboard.MaxCells, 1} {
		if c, err := scoreboard.Open(b.FD(), cell); err == nil {
			t.Errorf("Open of cell %d = %v, want an error", cell, c)
		}
	}
	if _, err := scoreboard.Open(0, 0); err == nil {
		t.Error("Open took stdin")
	}
}

func TestNoCellIsAValidCell(t *testing.T) {
	var c *scoreboard.Cell
	c.SetState(scoreboard.StateReady)
	c.AddConnections(1)
	c.AddAccepted(0)
	c.AddRead(1)
	c.AddWritten(1)
	c.Advance()
	var r scoreboard.Request
	r.Begin(c, "GET", "/", "127.0.0.1:1")
	r.End()
	if mine, mean := c.Share(); mine != 0 || mean != 0 || c.Connections() != 0 {
		t.Errorf("Share = %d, %v", mine, mean)
	}
}
