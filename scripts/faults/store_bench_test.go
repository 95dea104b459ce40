//go:build faults

package faults

import (
	"os/exec"
	"testing"
)

// The store keeps the figures that are promised, beside Redis, memcached and a
// map in one run. Figures need a machine that does nothing else: a run of the
// gate only wants the bench to work.
func TestStoreIsAsFastAsPromised(t *testing.T) {
	for _, tool := range []string{"redis-server", "redis-benchmark", "memcached"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing: %s (Debian: redis-server, redis-tools, memcached)", tool)
		}
	}
	args := []string{"-prefork", Prefork(t), "-quick", "-entries", "1000", "-processes", "1,2", "-requests", "8000"}
	if Full() {
		args = []string{"-prefork", Prefork(t), "-check"}
	}
	out, err := exec.Command(Build(t, "./scripts/bench/store", false), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	if Full() || err != nil {
		Figure(t, "store-bench", "\n%s", out)
	}
}

// A handler that reads and writes a session has nine tenths of the throughput
// of the same one without, at least.
func TestSessionCostsATenthAtMost(t *testing.T) {
	if !Full() {
		return // that the bench works is seen in its own folder
	}
	out, err := exec.Command(Build(t, "./scripts/bench/session", false), "-prefork", Prefork(t), "-check").CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	Figure(t, "session-bench", "\n%s", out)
}
