//go:build !linux

package worker

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
)

// Outside Linux there is no master: a worker serves alone, for development.

func catchSignals(e *environ) (<-chan os.Signal, error) {
	if e.inPool {
		return nil, fmt.Errorf("join pool: %w", errors.ErrUnsupported)
	}
	told := make(chan os.Signal, 64)
	signal.Notify(told, os.Interrupt)
	return told, nil
}

func closeOnExec(int) {}

func openPipe(fd int, name string) (*os.File, error) {
	return nil, fmt.Errorf("open %s on descriptor %d: %w", name, fd, errors.ErrUnsupported)
}

func emptyStderr(int) {}

func exhausted(error) bool { return false }

func descriptors() (limit, open int, ok bool) { return 0, 0, false }
