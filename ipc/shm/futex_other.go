//go:build !linux

package shm

import (
	"sync/atomic"
	"time"
)

// Wait has no kernel's help here: it gives the others a moment, and the caller
// looks at the word again.
func Wait(word *atomic.Uint64, value uint64, timeout time.Duration) {
	if uint32(word.Load()) == uint32(value) {
		<-time.After(min(timeout, 50*time.Microsecond))
	}
}

// Wake has nobody to wake.
func Wake(*atomic.Uint64, int) {}
