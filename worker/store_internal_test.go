package worker

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// All that wait for one holder report it at once; the master hears of it once.
func TestBusyStoreIsReportedOnceAtATime(t *testing.T) {
	var sent atomic.Int64
	var said atomic.Value
	report := busyReports(func(lines ...string) error {
		sent.Add(1)
		said.Store(strings.Join(lines, "|"))
		return nil
	})
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() { report(3, 17) })
	}
	all.Wait()
	// A machine that stands still for longer than busyEvery may make it two.
	if n := sent.Load(); n < 1 || n > 3 {
		t.Errorf("%d reports of 64 waiters", n)
	}
	if said.Load() != "X_PREFORK_BUSY=3:17" {
		t.Errorf("said %q", said.Load())
	}
}
