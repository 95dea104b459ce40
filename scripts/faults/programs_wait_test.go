//go:build faults

package faults

import (
	"slices"

	"prefork/master/control"
)

// hasReady holds when the running generation has n ready workers, and none of
// the pool's is one of these pids any more.
func hasReady(n int, gone ...int) func(control.Status) bool {
	return func(s control.Status) bool {
		ready := 0
		for _, w := range s.Workers {
			if slices.Contains(gone, w.PID) {
				return false
			}
			if w.State == control.StateReady && w.Generation == s.Generation {
				ready++
			}
		}
		return ready == n
	}
}
