package worker

import (
	"math"

	"prefork/ipc"
	"prefork/ipc/scoreboard"
)

// openCell maps this process' cell of the scoreboard. A worker that was handed
// none runs without; so does one alone.
func (w *Worker) openCell() error {
	fd, ok := w.env.fds[ipc.FDScoreboard]
	if !ok || w.env.cell < 0 {
		return nil
	}
	c, err := scoreboard.Open(fd, w.env.cell)
	if err != nil {
		return err
	}
	w.cell, w.conns.counted = c, c
	c.SetState(scoreboard.StateStarting)
	return nil
}

// load gives the connections that this worker holds and the mean of its
// generation, rounded up. Preconditions: it has a cell.
func (w *Worker) load() (held, share int) {
	mine, mean := w.cell.Share()
	return int(mine), int(math.Ceil(mean))
}
