package pool_test

import (
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// TestViewsSayNothingBeforeBegin: people may ask at any time.
func TestViewsSayNothingBeforeBegin(t *testing.T) {
	var s pool.State
	ready, trialReady, batch := s.Counts()
	if s.Phase() != pool.PhaseNew || s.Wanted() != 0 || s.Configured() != 0 || s.Generation() != 0 || s.Trial() != 0 ||
		ready+trialReady+batch != 0 || s.TakesWork() || s.Settling() || s.Told() || s.Draining() != 0 ||
		len(s.Workers()) != 0 || len(s.Empty()) != 0 || s.NextDeadline() >= 0 || s.LastReady(time.Hour) != 0 {
		t.Errorf("a new pool says something: %+v", s)
	}
	if _, ok := s.Worker(1); ok {
		t.Error("a new pool has a worker")
	}
}

func TestLastReadyIsNowWhileOneIsReady(t *testing.T) {
	w := newWorld()
	for _, line := range []string{"config workers=1", "workers ready=10ms", "begin", "run 1h"} {
		if err := w.exec(line); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.pool.LastReady(2 * time.Hour); got != 2*time.Hour {
		t.Errorf("a ready worker, last ready %v", got)
	}
	for _, line := range []string{"workers calm", "w1 signal 9", "run 10s"} {
		if err := w.exec(line); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.pool.LastReady(2 * time.Hour); got != time.Hour {
		t.Errorf("the last one died at 1h, last ready %v", got)
	}
	if p, ok := w.pool.Worker(2); !ok || p.State != pool.StateStarting || p.Slot != 0 {
		t.Errorf("worker 2 is %+v, %v", p, ok)
	}
	if _, ok := w.pool.Worker(1); ok {
		t.Error("worker 1 is still there")
	}
}
