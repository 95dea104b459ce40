package worker

import (
	"math"

	"prefork/ipc"
	"prefork/ipc/scoreboard"
)

// openCell maps this process' cell of the scoreboard. A worker that was handed
// none runs without; so does one alone, and one that finds another layout
// than its own there, or what another worker has scribbled: what a cell is for
// is no reason not to serve.
func (w *Worker) openCell() {
	fd, ok := w.env.fds[ipc.FDScoreboard]
	if !ok || w.env.cell < 0 {
		return
	}
	c, err := scoreboard.Open(fd, w.env.cell)
	if err != nil {
		w.report("count what this worker does", err)
		return
	}
	w.cell, w.conns.counted = c, c
	c.SetState(scoreboard.StateStarting)
}

// held gives the connections that this worker has open. Preconditions, here
// and below: it has a cell.
func (w *Worker) held() int { return int(w.cell.Connections()) }

// share gives the mean of its generation, rounded up.
func (w *Worker) share() int {
	_, mean := w.cell.Share()
	return int(math.Ceil(mean))
}
