package store

import (
	"sync/atomic"
	"time"
)

// clockFresh is for how long the distance between the two clocks is believed:
// after a suspend, TTLs are late by so much at most.
const clockFresh = 100 * time.Millisecond

var (
	clockBase = time.Now()
	clockLead atomic.Int64 // what bootClock had more than the monotonic clock since clockBase
	clockSeen atomic.Int64 // when that was looked at, on the monotonic clock; 0: never
)

// boottime is CLOCK_BOOTTIME in nanoseconds. It costs a read of Go's monotonic
// clock, which needs no system call; the two differ by the time the machine
// was suspended.
func boottime() int64 {
	now := int64(time.Since(clockBase)) + 1
	if seen := clockSeen.Load(); seen == 0 || now-seen > int64(clockFresh) {
		boot := bootClock()
		now = int64(time.Since(clockBase)) + 1
		clockLead.Store(boot - now)
		clockSeen.Store(now)
		return boot
	}
	return now + clockLead.Load()
}
