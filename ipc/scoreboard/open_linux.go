package scoreboard

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// Open maps the scoreboard behind a descriptor and gives the cell that the
// master handed out to this process. The descriptor stays the caller's, who
// may close it. A cell lasts as long as the process; there is no Close.
func Open(fd, cell int) (*Cell, error) {
	if cell < 0 || cell >= MaxCells {
		return nil, fmt.Errorf("open scoreboard: cell %d (want 0 to %d)", cell, MaxCells-1)
	}
	s, err := shm.Open(fd, magic, segmentSize)
	if err != nil {
		return nil, fmt.Errorf("open scoreboard: %w", err)
	}
	if word(s, cell, offID).Load() == 0 {
		return nil, errors.Join(fmt.Errorf("open scoreboard: cell %d is nobody's", cell), s.Unmap())
	}
	return newCell(s, cell, monotonic()), nil
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic("scoreboard: clock_gettime: " + err.Error()) // the clock is always there
	}
	return now.Nano()
}
