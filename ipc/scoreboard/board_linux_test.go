package scoreboard_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/scoreboard"
)

// The segment's layout, written down a second time: the table in layout.go is
// a contract between processes of different builds.
const (
	header, cellSize = 64 << 10, 256
	offHigh          = 8
	offID, offPlace  = 0, 8
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
	c.AddRequests(7)
	c.Touch()
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
	c.AddRequests(40)
	c.AddRequests(2)
	c.Touch()
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
	if err != nil || got.Requests != 7 || got.Connections != 3 || got.Accepted != 1 || got.ID != 77 || got.LastActive.IsZero() {
		t.Fatalf("Read = %+v, %v", got, err)
	}
	b.Free(cell)
	again, ok := b.Alloc(1, 1, 78)
	if !ok || again != cell {
		t.Fatalf("Alloc = %d, %v; want the freed cell %d", again, ok, cell)
	}
	if got, err := b.Read(again); err != nil || got != (scoreboard.Snapshot{Slot: 1, Generation: 1, ID: 78}) {
		t.Fatalf("a reused cell has %+v, %v", got, err)
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
	c.AddRequests(1)
	c.Touch()
	if mine, mean := c.Share(); mine != 0 || mean != 0 || c.Connections() != 0 {
		t.Errorf("Share = %d, %v", mine, mean)
	}
}

// raw maps the segment as a hostile worker would.
func raw(t testing.TB, b *scoreboard.Board) []byte {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(b.FD(), &st); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(b.FD(), 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}

func TestEachLieInACellIsNamed(t *testing.T) {
	for what, lie := range map[string]struct {
		offset int
		bytes  string
	}{
		"id":                       {offID, "\x63"},
		"slot and generation":      {offPlace, "\x63"},
		"state":                    {16, "\x03"},
		"connections":              {24, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		"requests":                 {128, "\x00\x00\x00\x00\x00\x00\x00\x80"},
		"last activity":            {136, "\x00\x00\x00\x00\x00\x00\x00\x7f"},
		"-9223372036854775808 acc": {144, "\x00\x00\x00\x00\x00\x00\x00\x80"},
		"accepted":                 {208, "\xff\xff\xff\xff\xff\xff\xff\x7f"},
	} {
		b := create(t)
		cell, _ := alloc(t, b, 3, 1)
		other, _ := alloc(t, b, 4, 1)
		copy(raw(t, b)[header+cell*cellSize+lie.offset:], lie.bytes)
		snap, err := b.Read(cell)
		if !errors.Is(err, scoreboard.ErrBadCell) || !strings.Contains(err.Error(), what) || snap != (scoreboard.Snapshot{}) {
			t.Errorf("%s: Read = %+v, %v", what, snap, err)
		} else if !strings.Contains(err.Error(), "bad cell 0 of slot 3 generation 1: ") {
			t.Errorf("%s: %v does not say whose cell it is", what, err)
		}
		if _, err := b.Read(other); err != nil {
			t.Errorf("%s: the other cell: %v", what, err)
		}
		// The cell is good again for the next one.
		b.Free(cell)
		again, _ := alloc(t, b, 3, 1)
		if _, err := b.Read(again); again != cell || err != nil {
			t.Errorf("%s: after Free and Alloc: %d, %v", what, again, err)
		}
	}
}

func TestScribbledSegmentSpoilsOnlyNumbers(t *testing.T) {
	b := create(t)
	mem := raw(t, b)
	r := rand.New(rand.NewPCG(1, 2))
	var cells []int
	var first *scoreboard.Cell
	for i := range 40 {
		cell, c := alloc(t, b, i, 1)
		cells = append(cells, cell)
		if first == nil {
			first = c
		}
	}
	bad := 0
	const rounds = 20000
	for range rounds {
		// One random byte in the header's or a used cell's values.
		at := offHigh + r.IntN(8)
		if r.IntN(10) > 0 {
			at = header + cells[r.IntN(len(cells))]*cellSize + r.IntN(cellSize)
		}
		mem[at] = byte(r.Uint32())
		i := r.IntN(len(cells))
		snap, err := b.Read(cells[i])
		switch {
		case err == nil && (snap.Slot != i || snap.Connections < 0 || snap.Requests < 0 || snap.Accepted < 0 || snap.LastActive.After(time.Now().Add(2*time.Second))):
			t.Fatalf("Read = %+v", snap)
		case err != nil && !errors.Is(err, scoreboard.ErrBadCell):
			t.Fatal(err)
		case err != nil:
			bad++
		}
		if _, mean := first.Share(); mean < 0 || mean > 1<<24 {
			t.Fatalf("mean %v", mean)
		}
		if r.IntN(20) == 0 {
			b.Free(cells[i])
			if cell, ok := b.Alloc(i, 1, uint64(i+1)); !ok || cell != cells[i] {
				t.Fatalf("Alloc = %d, %v; want %d", cell, ok, cells[i])
			}
		}
	}
	t.Logf("%d of %d reads were refused", bad, rounds)
}
