package scoreboard_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/scoreboard"
)

const (
	negative = "\x00\x00\x00\x00\x00\x00\x00\x80"
	future   = "\x00\x00\x00\x00\x00\x00\x00\x7f"
	minusOne = "\xff\xff\xff\xff\xff\xff\xff\xff"
)

// look makes all the reads that a master makes.
func look(b *scoreboard.Board, cell int) (snap scoreboard.Snapshot, errs [3]error) {
	snap, errs[0] = b.Read(cell)
	_, errs[1] = b.Latency(cell)
	_, errs[2] = b.Serving(cell)
	return snap, errs
}

func TestEachLieInACellIsNamed(t *testing.T) {
	const (
		read = iota
		latency
		serving
	)
	for what, lie := range map[string]struct {
		by     int // who notices
		back   bool
		offset int
		bytes  string
	}{
		"id":                            {read, false, offID, "\x63"},
		"slot and generation":           {read, false, offPlace, "\x63"},
		"state":                         {read, false, 16, "\x03"},
		"connections":                   {read, false, 24, minusOne},
		"-9223372036854775808 requests": {read, false, 128, negative},
		"last heartbeat":                {read, false, 136, future},
		"-9223372036854775808 acc":      {read, false, 144, negative},
		"accepted":                      {read, false, 208, "\xff\xff\xff\xff\xff\xff\xff\x7f"},
		"8 requests ended of 2 begun":   {read, false, 224, "\x08"},
		"bytes read":                    {read, false, 232, minusOne},
		"bytes written":                 {read, false, 240, negative},
		"begin of a request at 9151":    {read, false, 248, future},
		"-1 answers of a latency":       {latency, true, 8 * 7, minusOne},
		"10 answers to 2 requests":      {latency, true, 8 * 8, "\x09"},
		"begin of a request":            {serving, true, places + 8, future},
		"method of 17 bytes":            {serving, true, places + 16, "\x11"},
		"client of 49 bytes":            {serving, true, places + 16, "\x03\x31"},
		"path of 105 bytes":             {serving, true, places + 16, "\x03\x04\x69"},
	} {
		b := create(t)
		cell, c := alloc(t, b, 3, 1)
		other, _ := alloc(t, b, 4, 1)
		var one, two scoreboard.Request
		one.Begin(c, "GET", "/", "peer")
		two.Begin(c, "GET", "/", "peer")
		two.End()
		if _, errs := look(b, cell); errs != ([3]error{}) {
			t.Fatal(errs)
		}
		at := header + cell*frontSize + lie.offset
		if lie.back {
			at = backs + cell*backSize + lie.offset
		}
		copy(raw(t, b)[at:], lie.bytes)
		snap, errs := look(b, cell)
		err := errs[lie.by]
		if !errors.Is(err, scoreboard.ErrBadCell) || !strings.Contains(err.Error(), what) || lie.by == read && snap != (scoreboard.Snapshot{}) {
			t.Errorf("%s: %+v, %v", what, snap, err)
		} else if !strings.Contains(err.Error(), "bad cell 0 of slot 3 generation 1: ") {
			t.Errorf("%s: %v does not say whose cell it is", what, err)
		}
		if _, errs := look(b, other); errs != ([3]error{}) {
			t.Errorf("%s: the other cell: %v", what, errs)
		}
		// What the cell said before the lie still counts, and it is good again
		// for the next one.
		b.Free(cell)
		if got := b.Totals().Requests; got != 2 {
			t.Errorf("%s: %d requests in all, want 2", what, got)
		}
		again, _ := alloc(t, b, 3, 1)
		if snap, errs := look(b, again); again != cell || errs != ([3]error{}) || snap.InFlight != 0 {
			t.Errorf("%s: after Free and Alloc: %d, %+v, %v", what, again, snap, errs)
		}
	}
}

// Whatever stands in the segment, what the master reads is within its bounds
// or refused.
func TestScribbledSegmentSpoilsOnlyNumbers(t *testing.T) {
	b := create(t)
	mem := raw(t, b)
	r := rand.New(rand.NewPCG(1, 2))
	const cells = 40
	first := scribbled(t, b, cells)
	bad := 0
	const rounds = 5000
	var totals scoreboard.Totals
	for range rounds {
		// Random bytes, of the header, a front, a back, or anywhere.
		at := offHigh + r.IntN(8)
		switch r.IntN(10) {
		case 0, 1, 2, 3:
			at = header + r.IntN(cells*frontSize)
		case 4, 5, 6, 7:
			at = backs + r.IntN(cells*backSize)
		case 8:
			at = r.IntN(len(mem))
		}
		mem[at] = byte(r.Uint32())
		bad += checkCell(t, b, r.IntN(cells))
		if r.IntN(20) == 0 {
			if mine, mean := first.Share(); mine != 0 || mean < 0 || mean > 1<<24 {
				t.Fatalf("%d of %v", mine, mean)
			}
			i := r.IntN(cells)
			b.Free(i)
			if cell, ok := b.Alloc(i, 1, uint64(i+1)); !ok || cell != i {
				t.Fatalf("Alloc = %d, %v; want %d", cell, ok, i)
			}
		}
		now := b.Totals()
		if now.Requests < totals.Requests || now.Accepted < totals.Accepted || now.BytesIn < totals.BytesIn ||
			now.BytesOut < totals.BytesOut || now.Cut < totals.Cut {
			t.Fatalf("the totals went back from %+v to %+v", totals, now)
		}
		totals = now
	}
	t.Logf("%d of %d reads were refused", bad, rounds)
}

// Every byte of a cell, one bit at a time.
func TestEachByteOfACellMayFlip(t *testing.T) {
	b := create(t)
	mem := raw(t, b)
	scribbled(t, b, 1)
	r := rand.New(rand.NewPCG(5, 6))
	bad := 0
	for _, part := range [][2]int{{0, 64}, {header, header + frontSize}, {backs, backs + backSize}} {
		for at := part[0]; at < part[1]; at++ {
			bit := byte(1) << r.IntN(8)
			mem[at] ^= bit
			bad += checkCell(t, b, 0)
			mem[at] ^= bit
		}
	}
	if checkCell(t, b, 0) != 0 {
		t.Error("the cell is bad after all is as it was")
	}
	t.Logf("%d flips were refused", bad)
}

// scribbled makes cells with something in them, and gives the first one's.
func scribbled(t testing.TB, b *scoreboard.Board, cells int) *scoreboard.Cell {
	t.Helper()
	var first *scoreboard.Cell
	for i := range cells {
		cell, c := alloc(t, b, i, 1)
		if cell != i {
			t.Fatalf("cell %d, want %d", cell, i)
		}
		if first == nil {
			first = c
		}
		requests := make([]scoreboard.Request, 20)
		for j := range requests {
			requests[j].Begin(c, "GET", "/some/path", "127.0.0.1:12345")
			if j%2 == 0 {
				requests[j].End()
			}
		}
	}
	return first
}

// checkCell reads a cell in all ways: 1 when something was refused.
func checkCell(t testing.TB, b *scoreboard.Board, cell int) int {
	t.Helper()
	snap, errs := look(b, cell)
	soon := time.Now().Add(2 * time.Second)
	if errs[0] == nil && (snap.Slot != cell || snap.Connections < 0 || snap.Requests < 0 || snap.InFlight < 0 || snap.InFlight > snap.Requests ||
		snap.Accepted < 0 || snap.BytesIn < 0 || snap.BytesOut < 0 || snap.LastActive.After(soon) || snap.Oldest.After(soon)) {
		t.Fatalf("Read = %+v", snap)
	}
	serving, _ := b.Serving(cell)
	if len(serving) > scoreboard.Places {
		t.Fatalf("%d requests in %d places", len(serving), scoreboard.Places)
	}
	for _, s := range serving {
		if len(s.Method) > 16 || len(s.Client) > 48 || len(s.Path) > 104 || s.Since.After(soon) {
			t.Fatalf("Serving = %+v", s)
		}
	}
	refused := 0
	for _, err := range errs {
		if err != nil {
			refused = 1
		}
		if err != nil && !errors.Is(err, scoreboard.ErrBadCell) {
			t.Fatal(err)
		}
	}
	return refused
}

// FuzzCell: whatever bytes a worker leaves in its cell.
func FuzzCell(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(minusOne + minusOne))
	seed := binary.NativeEndian.AppendUint64(nil, 1)
	f.Add(append(seed, make([]byte, frontSize+backSize-8)...))
	b := create(f)
	mem := raw(f, b)
	cell, _ := alloc(f, b, 0, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		n := copy(mem[header:header+frontSize], data)
		copy(mem[backs:backs+backSize], data[n:])
		checkCell(t, b, cell)
		// The same with an owner that is right, so that the rest is looked at.
		binary.NativeEndian.PutUint64(mem[header+offID:], 1001)
		binary.NativeEndian.PutUint64(mem[header+offPlace:], 1<<32)
		checkCell(t, b, cell)
		h := b.LatencyTotals()
		_ = h.Quantile(0.99)
	})
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
