package scoreboard

import (
	"math"
	"time"
)

const (
	// shareExact is how many cells Share always reads anew: two kilobytes of
	// cache lines at most.
	shareExact = 32
	// shareAge is how old the mean may be above that.
	shareAge = time.Millisecond
	// maxConnections bounds what is believed of one cell; it is far above the
	// descriptors that a process may have.
	maxConnections = 1 << 24
)

// Share gives this worker's open connections and the mean over all workers of
// its generation that accept, itself included: a worker with more than the
// mean has more than its share. Both are 0 for the nil Cell.
//
// Its cost is bounded by the cells in use. With more than shareExact of them
// the mean may be shareAge old; the worker's own number never is.
func (c *Cell) Share() (mine int64, mean float64) {
	if c == nil {
		return 0, 0
	}
	mine = c.Connections()
	// The header is the master's, but every worker can write it.
	high := int(min(c.segment.Word(offHigh).Load(), MaxCells))
	if high <= shareExact {
		return mine, c.mean(high)
	}
	now := c.now()
	if last := c.meanTime.Load(); last != 0 && now-last < int64(shareAge) {
		return mine, math.Float64frombits(c.meanBits.Load())
	}
	// Several goroutines may come here at once: each stores a true mean.
	c.meanTime.Store(now)
	mean = c.mean(high)
	c.meanBits.Store(math.Float64bits(mean))
	return mine, mean
}

func (c *Cell) mean(high int) float64 {
	own := word(c.segment, c.index, offPlace).Load() >> 32
	var sum, n int64
	for i := range high {
		if i != c.index {
			if word(c.segment, i, offID).Load() == 0 || word(c.segment, i, offPlace).Load()>>32 != own ||
				word(c.segment, i, offState).Load() != StateReady {
				continue
			}
		}
		connections := int64(word(c.segment, i, offConnections).Load())
		sum += min(max(connections, 0), maxConnections)
		n++
	}
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}
