package main

import (
	"fmt"
	"slices"
	"time"
)

// result has the rounds, in pairs: without a session, with one.
type result [][2]round

// ratio is the throughput with sessions of that without: the median of pairs.
func (r result) ratio() float64 {
	return median(r, func(pair [2]round) float64 { return pair[1].rate() / pair[0].rate() })
}

func (r result) String() string {
	var cpu [2]time.Duration // a request; of all rounds, since a round has few ticks of the clock
	for which := range cpu {
		var requests int64
		for _, pair := range r {
			cpu[which] += pair[which].cpu
			requests += pair[which].requests
		}
		cpu[which] /= time.Duration(max(1, requests))
	}
	rate := func(which int) float64 {
		return median(r, func(pair [2]round) float64 { return pair[which].rate() })
	}
	return fmt.Sprintf("requests a second: without a session %.0f, reading and writing one %.0f, ratio %.2f (median of %d pairs)\n"+
		"processor time of the workers a request: %v, %v: %v more",
		rate(0), rate(1), r.ratio(), len(r), cpu[0].Round(100), cpu[1].Round(100), (cpu[1] - cpu[0]).Round(100))
}

func median(r result, of func([2]round) float64) float64 {
	all := make([]float64, len(r))
	for i, pair := range r {
		all[i] = of(pair)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
