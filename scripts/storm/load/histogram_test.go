package load_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

func TestQuantilesAreWithinABucketOfTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h load.Histogram
	var all []time.Duration
	for range 20000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		truth := all[max(0, int(q*float64(len(all))+0.999999)-1)]
		got := h.Quantile(q)
		if got < truth || float64(got) > float64(truth)*(1+1.0/64)+1 {
			t.Errorf("quantile %v = %v, want %v", q, got, truth)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != 20000 {
		t.Errorf("max %v, count %d", h.Max(), h.Count())
	}
}

func TestHistogramTakesAnyDuration(t *testing.T) {
	var h, o load.Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty one has a median")
	}
	for _, d := range []time.Duration{-5, 0, 1, 63, 64, 65, 127, 128, 1<<63 - 1} {
		h.Add(d)
	}
	for q, want := range map[float64]time.Duration{0: 0, 0.2: 0, 0.3: 1, 0.4: 63, 0.5: 64, 1: 1<<63 - 1} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	o.Add(7)
	o.Merge(&h)
	if o.Count() != 10 || o.Max() != 1<<63-1 {
		t.Errorf("merged: %d, %v", o.Count(), o.Max())
	}
}
