package load

import (
	"math/bits"
	"time"
)

// subBits is how many bits of a value below its highest one are kept: an
// error of at most 1/64.
const subBits = 6

// Histogram counts durations from 1 ns to years in buckets of constant
// relative width. The zero value is empty; it is for one goroutine.
type Histogram struct {
	counts [64 << subBits]uint64
	n      uint64
	max    time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count gives how many there are, Max the longest, exactly.
func (h *Histogram) Count() uint64      { return h.n }
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile gives the duration that a share q of all does not exceed (0.999
// for p99.9), rounded up to its bucket's end; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	// The rank of the value: 1 to n.
	rank := max(1, min(h.n, uint64(q*float64(h.n)+0.999999)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// bucket gives the place of a value: values below 2^subBits have one each,
// each further power of two has 2^subBits.
func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

// upper gives the largest value of a bucket.
func upper(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(1<<subBits-1))+1<<subBits+1)<<shift - 1
}
