package scoreboard_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"prefork/ipc/scoreboard"
)

func TestBucketsFollowEachOther(t *testing.T) {
	_, end := scoreboard.BucketBounds(0)
	for i := 1; i < scoreboard.Buckets; i++ {
		low, high := scoreboard.BucketBounds(i)
		if low != end || high <= low {
			t.Fatalf("bucket %d is %d to %d, the one before ends at %d", i, low, high, end)
		}
		if i < scoreboard.Buckets-1 && (high-low)*4 > low {
			t.Errorf("bucket %d, %d to %d, is more than a quarter of its bound wide", i, low, high)
		}
		end = high
	}
	if end != math.MaxInt64 {
		t.Errorf("the last bucket ends at %d", end)
	}
}

func TestQuantileIsWithinTheStatedError(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var h scoreboard.Histogram
		all := make([]time.Duration, 1+r.IntN(500))
		for i := range all {
			// From 1 µs to 18 minutes, each power of ten as likely.
			all[i] = time.Duration(math.Exp(math.Log(1e3) + r.Float64()*math.Log(1e9)))
			h[bucketOf(t, all[i])]++
		}
		slices.Sort(all)
		if h.Count() != uint64(len(all)) {
			t.Fatalf("Count = %d, want %d", h.Count(), len(all))
		}
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := all[max(0, int(math.Ceil(q*float64(len(all))))-1)]
			got := h.Quantile(q)
			if err := math.Abs(float64(got-want)) / float64(want); want >= 1024 && err > 0.125 {
				t.Fatalf("the %v quantile of %d latencies is %v, want %v: %.1f %% off", q, len(all), got, want, 100*err)
			}
		}
	}
}

// bucketOf finds a bucket by the bounds alone.
func bucketOf(t *testing.T, d time.Duration) int {
	t.Helper()
	for i := range scoreboard.Buckets {
		if low, high := scoreboard.BucketBounds(i); low <= d && d < high {
			return i
		}
	}
	t.Fatalf("no bucket for %v", d)
	return 0
}

func TestQuantilesAtTheEnds(t *testing.T) {
	var h scoreboard.Histogram
	if got := h.Quantile(0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	h[scoreboard.Buckets-1] = 1
	if got := h.Quantile(0.5); got != 1<<40 {
		t.Errorf("of one that took longer than all bounds: %v", got)
	}
	h[0] = 99
	if got := h.Quantile(0.99); got != 512 {
		t.Errorf("the 99th of 99 short ones and a long one: %v", got)
	}
	if got := h.Quantile(0.991); got != 1<<40 {
		t.Errorf("the part above: %v", got)
	}
	var sum scoreboard.Histogram
	sum.Add(&h)
	sum.Add(&h)
	if sum[0] != 198 || sum.Count() != 200 {
		t.Errorf("twice the counts: %d of %d", sum[0], sum.Count())
	}
}
