package store

import "golang.org/x/sys/unix"

// bootClock reads CLOCK_BOOTTIME in nanoseconds: it goes on while the machine
// is suspended, nobody sets it, and all processes read the same
// (clock_gettime(2)). A system call, as Go's runtime has no way to it.
func bootClock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic("store: clock_gettime: " + err.Error()) // the clock is always there
	}
	return now.Nano()
}
