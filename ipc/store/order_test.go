package store

import (
	"context"
	"runtime"
	"testing"
)

// A program that sees a key reads what its writer wrote before, wherever that
// is; and the race detector, which knows no assembly, knows that it may.
func TestSetHappensBeforeTheGetThatSeesIt(t *testing.T) {
	e, ctx := Private(Config{Size: MinSize}), context.Background()
	e.now = func() int64 { return 1e9 } // the clock of the process has atomics too
	plain, seen := 0, make(chan int)
	go func() {
		for {
			if _, found, err := e.Get(ctx, "ready"); found || err != nil {
				seen <- plain
				return
			}
			runtime.Gosched()
		}
	}()
	plain = 1
	if _, err := e.Set(ctx, "ready", nil, Write{}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != 1 {
		t.Error(got)
	}
}
