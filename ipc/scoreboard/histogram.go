package scoreboard

import (
	"math"
	"math/bits"
	"time"
)

// A latency goes into one of 122 buckets: one up to 1.024 µs (2^10 ns), then
// four of equal width for each power of two up to 18.3 min (2^40 ns), then one
// for all above. A bucket is a quarter of its lower bound wide at most, and is
// told by its middle: what Quantile gives is within 12.5 % of the latency that
// it stands for, between these two ends.
const (
	lowestPower  = 10
	highestPower = 40
	subBits      = 2
	subBuckets   = 1 << subBits

	// Buckets is how many there are.
	Buckets = 1 + (highestPower-lowestPower)*subBuckets + 1
)

// Histogram counts latencies by bucket. It is a copy: the caller's.
type Histogram [Buckets]uint64

// bucket gives the place of a latency in nanoseconds; of a negative one, which
// no monotonic clock gives, the first.
func bucket(nanos int64) int {
	if nanos < 1<<lowestPower {
		return 0
	}
	power := bits.Len64(uint64(nanos)) - 1
	if power >= highestPower {
		return Buckets - 1
	}
	sub := int(nanos>>(power-subBits)) & (subBuckets - 1)
	return 1 + (power-lowestPower)*subBuckets + sub
}

// BucketBounds gives the latencies that bucket i counts, from low on and below
// high; those of the last one have no upper bound. Preconditions: 0 <= i <
// Buckets.
func BucketBounds(i int) (low, high time.Duration) {
	switch i {
	case 0:
		return 0, 1 << lowestPower
	case Buckets - 1:
		return 1 << highestPower, math.MaxInt64
	}
	power, sub := lowestPower+(i-1)/subBuckets, (i-1)%subBuckets
	width := time.Duration(1) << (power - subBits)
	low = 1<<power + time.Duration(sub)*width
	return low, low + width
}

// Add adds the counts of another histogram.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// Count gives how many latencies there are.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile gives the latency that the part q of all stay within: 0.99 for the
// 99th percentile. It is 0 where nothing was counted, and 2^40 ns for all that
// took longer than that. Preconditions: 0 <= q <= 1.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(n)))
	rank = min(max(rank, 1), n)
	last := 0
	for i, c := range h {
		if c == 0 {
			continue
		}
		last = i
		if rank <= c {
			break
		}
		rank -= c
	}
	if last == Buckets-1 {
		return 1 << highestPower
	}
	low, high := BucketBounds(last)
	return low + (high-low)/2
}
