//go:build faults

package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"prefork/worker"
)

// gate is a file whose appearance lets the role "behind-gate" begin.
type gate struct{ path string }

func newGate(t testing.TB) gate { return gate{filepath.Join(tempDir(t), "gate")} }

func (g gate) open(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(g.path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The role "behind-gate PATH" is "named", but accepts nothing until PATH exists.
var _ = Role("behind-gate", func(args []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	for {
		if _, err := os.Stat(args[0]); err == nil {
			break
		}
		<-tick.C
	}
	tick.Stop()
	serveRole("behind-gate", func(w *worker.Worker) error { return w.Serve(http.HandlerFunc(named)) })
})
