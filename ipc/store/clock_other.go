//go:build !linux

package store

import "time"

// bootClock is the nearest that Go has: its monotonic clock.
func bootClock() int64 { return int64(time.Since(clockBase)) + 1 }
