package scoreboard_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prefork/ipc/scoreboard"
)

func TestRequestIsSeenWhileItIsServed(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	before := time.Now().Add(-time.Millisecond)
	var r scoreboard.Request
	r.Begin(c, "GET", "/a?\x1b[2J\xff", "[2001:db8::1]:65535")
	serving, err := b.Serving(cell)
	if err != nil || len(serving) != 1 {
		t.Fatalf("Serving = %+v, %v", serving, err)
	}
	s := serving[0]
	if s.Since.Before(before) || s.Since.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("since %v, want after %v", s.Since, before)
	}
	s.Since = time.Time{}
	if want := (scoreboard.Serving{Method: "GET", Path: "/a?\x1b[2J\xff", Client: "[2001:db8::1]:65535"}); s != want {
		t.Errorf("Serving = %+v, want %+v", s, want)
	}
	snap, err := b.Read(cell)
	if err != nil || snap.InFlight != 1 || snap.Requests != 1 || snap.Heartbeat != 1 || snap.Oldest.IsZero() {
		t.Errorf("Read = %+v, %v", snap, err)
	}
	r.End()
	r.End() // nothing more
	snap, err = b.Read(cell)
	if err != nil || snap.InFlight != 0 || snap.Requests != 1 || snap.Heartbeat != 2 || !snap.Oldest.IsZero() {
		t.Errorf("Read after the end = %+v, %v", snap, err)
	}
	if serving, err := b.Serving(cell); err != nil || len(serving) != 0 {
		t.Errorf("Serving after the end = %+v, %v", serving, err)
	}
	if h, err := b.Latency(cell); err != nil || h.Count() != 1 {
		t.Errorf("%d latencies, %v", h.Count(), err)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	whole := [3]string{strings.Repeat("M", 16), "/" + strings.Repeat("p", 103), strings.Repeat("c", 48)}
	for _, more := range []string{"", "+"} {
		var r scoreboard.Request
		r.Begin(c, whole[0]+more, whole[1]+more, whole[2]+more)
		serving, err := b.Serving(cell)
		if err != nil || len(serving) != 1 || serving[0].Cut != (more != "") ||
			[3]string{serving[0].Method, serving[0].Path, serving[0].Client} != whole {
			t.Errorf("with %q more: %+v, %v", more, serving, err)
		}
		r.End()
	}
	// Nothing of a longer text stays behind a shorter one.
	var r scoreboard.Request
	r.Begin(c, "GET", "/", "")
	if serving, err := b.Serving(cell); err != nil || len(serving) != 1 || serving[0].Path != "/" || serving[0].Client != "" || serving[0].Cut {
		t.Errorf("Serving = %+v, %v", serving, err)
	}
}

func TestMoreRequestsThanPlacesAreCounted(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	requests := make([]scoreboard.Request, 40)
	for i := range requests {
		requests[i].Begin(c, "GET", fmt.Sprint("/", i), "peer")
	}
	snap, err := b.Read(cell)
	serving, serr := b.Serving(cell)
	if err != nil || serr != nil || snap.InFlight != 40 || len(serving) != scoreboard.Places {
		t.Fatalf("%d in flight, %d with a place, %v, %v", snap.InFlight, len(serving), err, serr)
	}
	// The oldest is known also when all that had places are gone.
	for i := range 20 {
		requests[i].End()
	}
	fresh := make([]scoreboard.Request, 2)
	mid := time.Now()
	for i := range fresh {
		fresh[i].Begin(c, "GET", "/fresh", "peer")
	}
	snap, err = b.Read(cell)
	if err != nil || snap.InFlight != 22 || !snap.Oldest.Before(mid) {
		t.Fatalf("Read = %+v, %v; want 22 in flight, the oldest before %v", snap, err, mid)
	}
	for i := 20; i < 40; i++ {
		requests[i].End()
	}
	snap, err = b.Read(cell)
	if err != nil || snap.InFlight != 2 || snap.Oldest.Before(mid.Add(-time.Millisecond)) {
		t.Fatalf("Read = %+v, %v; want 2 in flight, the oldest after %v", snap, err, mid)
	}
	for i := range fresh {
		fresh[i].End()
	}
	if snap, err = b.Read(cell); err != nil || snap.InFlight != 0 || !snap.Oldest.IsZero() || snap.Requests != 42 {
		t.Errorf("Read at the end = %+v, %v", snap, err)
	}
}

// The heartbeat moves with requests and with nothing else.
func TestHeartbeatStandsStillBetweenAdvances(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	beat := func() (uint64, time.Time) {
		snap, err := b.Read(cell)
		if err != nil {
			t.Fatal(err)
		}
		return snap.Heartbeat, snap.LastActive
	}
	var r scoreboard.Request
	r.Begin(c, "GET", "/", "peer")
	first, at := beat()
	c.SetState(scoreboard.StateReady)
	c.AddConnections(1)
	c.AddAccepted(0)
	c.AddRead(10)
	c.AddWritten(10)
	if n, when := beat(); n != first || when.Sub(at).Abs() > time.Second {
		t.Errorf("the heartbeat is %d at %v without an advance, was %d at %v", n, when, first, at)
	}
	c.Advance()
	if n, _ := beat(); n != first+1 {
		t.Errorf("the heartbeat is %d after an advance, was %d", n, first)
	}
}

// Of several that end a request, one does.
func TestRequestEndsOnce(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	requests := make([]scoreboard.Request, 200) // with places and without
	var wg sync.WaitGroup
	for i := range requests {
		requests[i].Begin(c, "GET", "/", "peer")
		for range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				requests[i].End()
			}()
		}
		if i%20 == 19 {
			wg.Wait()
		}
	}
	snap, err := b.Read(cell)
	h, herr := b.Latency(cell)
	if err != nil || herr != nil || snap.InFlight != 0 || snap.Requests != 200 || h.Count() != 200 || !snap.Oldest.IsZero() {
		t.Errorf("%+v, %d latencies, %v, %v", snap, h.Count(), err, herr)
	}
}

func TestTotalsOutliveTheCells(t *testing.T) {
	b := create(t)
	for round := range 3 {
		for slot := range 2 {
			cell, c := alloc(t, b, slot, round+1)
			c.AddAccepted(0)
			c.AddRead(5)
			c.AddWritten(7)
			requests := make([]scoreboard.Request, 3)
			for i := range requests {
				requests[i].Begin(c, "GET", "/", "peer")
				if i > 0 {
					requests[i].End()
				}
			}
			b.Free(cell) // not read before
		}
	}
	one := scoreboard.Totals{Requests: 9, Accepted: 3, BytesIn: 15, BytesOut: 21, Cut: 3}
	if got := b.SlotTotals(1); got != one {
		t.Errorf("slot 1: %+v, want %+v", got, one)
	}
	both := scoreboard.Totals{Requests: 18, Accepted: 6, BytesIn: 30, BytesOut: 42, Cut: 6}
	if got := b.Totals(); got != both {
		t.Errorf("the pool: %+v, want %+v", got, both)
	}
	if got := b.LatencyTotals(); got.Count() != 12 {
		t.Errorf("%d latencies, want 12", got.Count())
	}
	// Those of a living one count as of the last look.
	cell, c := alloc(t, b, 1, 9)
	var r scoreboard.Request
	r.Begin(c, "GET", "/", "peer")
	r.End()
	if _, errs := look(b, cell); errs != ([3]error{}) {
		t.Fatal(errs)
	}
	one.Requests++
	if got, h := b.SlotTotals(1), b.LatencyTotals(); got != one || h.Count() != 13 {
		t.Errorf("with a living one: %+v, %d latencies, want %+v and 13", got, h.Count(), one)
	}
}

// A reader never sees the texts of two requests mixed: every text of a request
// here says which one it is.
func TestReaderSeesNoTornRequest(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := w; !stop.Load(); n += 3 {
				letter := string(rune('a' + n%26))
				var r scoreboard.Request
				r.Begin(c, strings.Repeat(letter, 1+n%16), "/"+strings.Repeat(letter, n%104), strings.Repeat(letter, n%48))
				r.End()
			}
		}()
	}
	seen := 0
	for deadline := time.Now().Add(500 * time.Millisecond); time.Now().Before(deadline); {
		snap, errs := look(b, cell)
		if errs != ([3]error{}) {
			t.Fatalf("%+v, %v", snap, errs)
		}
		serving, err := b.Serving(cell)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range serving {
			seen++
			all := strings.TrimPrefix(s.Path, "/") + s.Method + s.Client
			if strings.Trim(all, all[:1]) != "" || s.Cut {
				t.Fatalf("a torn request: %+v", s)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	snap, err := b.Read(cell)
	h, herr := b.Latency(cell)
	if err != nil || herr != nil || snap.InFlight != 0 || int64(h.Count()) != snap.Requests {
		t.Errorf("%+v, %d latencies, %v, %v", snap, h.Count(), err, herr)
	}
	if seen == 0 {
		t.Error("no request was ever seen")
	}
	t.Logf("%d of %d requests were seen", seen, snap.Requests)
}

// A place whose writer died in the middle shows nothing, and the others go on.
func TestHalfWrittenPlaceShowsNothing(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	requests := make([]scoreboard.Request, 2)
	for i, path := range []string{"/half", "/whole"} {
		requests[i].Begin(c, "GET", path, "peer")
	}
	raw(t, b)[backs+cell*backSize+places]++ // the first one's sequence is odd
	serving, err := b.Serving(cell)
	if err != nil || len(serving) != 1 || serving[0].Path != "/whole" {
		t.Errorf("Serving = %+v, %v", serving, err)
	}
	if snap, err := b.Read(cell); err != nil || snap.InFlight != 2 {
		t.Errorf("Read = %+v, %v: both are in flight", snap, err)
	}
}

func TestRecordingARequestAllocatesNothing(t *testing.T) {
	b := create(t)
	_, c := alloc(t, b, 0, 1)
	requests := make([]scoreboard.Request, 20)
	round := func() {
		for i := range requests {
			requests[i].Begin(c, "GET", "/some/path/of/a/usual/length", "127.0.0.1:12345")
		}
		c.AddRead(10)
		c.AddWritten(10)
		c.Advance()
		for i := range requests {
			requests[i].End()
		}
	}
	round() // those without a place make room once
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// One goroutine's requests take the same place again and again: what belongs
// to the one that ended is never shown for it.
func TestPlacesAreUsedAgain(t *testing.T) {
	b := create(t)
	cell, c := alloc(t, b, 0, 1)
	var paths []string
	for i := range 100 {
		var r scoreboard.Request
		r.Begin(c, "GET", fmt.Sprint("/", i), "peer")
		serving, err := b.Serving(cell)
		if err != nil || len(serving) != 1 {
			t.Fatalf("request %d: %+v, %v", i, serving, err)
		}
		paths = append(paths, serving[0].Path)
		r.End()
	}
	if len(slices.Compact(paths)) != 100 || paths[99] != "/99" {
		t.Errorf("paths %q", paths)
	}
}

func BenchmarkRequest(b *testing.B) {
	board := create(b)
	_, c := alloc(b, board, 0, 1)
	var r scoreboard.Request
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, "GET", "/some/path/of/a/usual/length", "127.0.0.1:12345")
		r.End()
	}
}

// What a request costs that finds no place.
func BenchmarkRequestWithoutPlace(b *testing.B) {
	board := create(b)
	_, c := alloc(b, board, 0, 1)
	taken := make([]scoreboard.Request, scoreboard.Places)
	for i := range taken {
		taken[i].Begin(c, "GET", "/", "peer")
	}
	var r scoreboard.Request
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, "GET", "/some/path/of/a/usual/length", "127.0.0.1:12345")
		r.End()
	}
}

// What a piece of a body costs.
func BenchmarkBytes(b *testing.B) {
	board := create(b)
	_, c := alloc(b, board, 0, 1)
	for b.Loop() {
		c.AddWritten(4096)
		c.Advance()
	}
}

// What a look of the master costs, at a cell with all places taken.
func BenchmarkLook(b *testing.B) {
	board := create(b)
	cell, c := alloc(b, board, 0, 1)
	requests := make([]scoreboard.Request, scoreboard.Places)
	for i := range requests {
		requests[i].Begin(c, "GET", "/some/path/of/a/usual/length", "127.0.0.1:12345")
	}
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			_, _ = board.Read(cell)
		}
	})
	b.Run("Latency", func(b *testing.B) {
		for b.Loop() {
			_, _ = board.Latency(cell)
		}
	})
	b.Run("Serving", func(b *testing.B) {
		for b.Loop() {
			_, _ = board.Serving(cell)
		}
	})
}

func BenchmarkAllocAndFree(b *testing.B) {
	board := create(b)
	for b.Loop() {
		cell, _ := board.Alloc(0, 1, 1)
		board.Free(cell)
	}
}
