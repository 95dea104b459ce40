package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// config is one run of the bench.
type config struct {
	counts     []int
	strategies []string
	rounds     int
	round      time.Duration
}

// What the default strategy is held to.
const (
	maxOfCheapest = 1.25 // at each count, against the cheapest of the plain ones
	minOfNaive    = 4.0  // at 256 workers, how much dearer the herd must be
	maxSpread     = 1.5  // 256 long-lived connections over 16 workers, max/mean
	spreadWorkers = 16
	spreadConns   = 256
)

var plain = []string{"naive", "exclusive", "rotate", "blocking"}

// run prints the tables, and says whether the default is what it promises.
func (c config) run() (good bool, err error) {
	good = true
	fmt.Printf("CPU per connection, µs: median of %d rounds of %v\n", c.rounds, c.round)
	fmt.Printf("%8s", "workers")
	for _, s := range c.strategies {
		fmt.Printf(" %12s", s)
	}
	fmt.Println()
	for _, n := range c.counts {
		cost, err := c.costs(n)
		if err != nil {
			return false, err
		}
		fmt.Printf("%8d", n)
		for _, s := range c.strategies {
			fmt.Printf(" %12.1f", float64(cost[s])/1000)
		}
		verdict, ok := judge(n, cost)
		good = good && ok
		fmt.Printf("  %s\n", verdict)
	}
	fmt.Printf("\n%d long-lived connections over %d workers, max/mean\n", spreadConns, spreadWorkers)
	fmt.Printf("%12s %12s %12s\n", "", "one by one", "at once")
	for _, s := range c.strategies {
		one, burst, err := c.spreads(s)
		if err != nil {
			return false, err
		}
		fmt.Printf("%12s %12.2f %12.2f\n", s, one, burst)
		if s == "auto" && (one > maxSpread || burst > maxSpread) {
			good = false
		}
	}
	return good, nil
}

// costs has the pools of all strategies alive at once and measures them in
// turns: what else the machine does meets all of them.
func (c config) costs(workers int) (_ map[string]time.Duration, err error) {
	var pools []*pool
	defer func() {
		for _, p := range pools {
			err = errors.Join(err, p.stop())
		}
	}()
	for _, s := range c.strategies {
		p, err := startPool(s, workers)
		if err != nil {
			return nil, err
		}
		pools = append(pools, p)
	}
	all := make(map[string][]time.Duration)
	for i := range c.rounds + 1 {
		for _, p := range pools {
			d := c.round
			if i == 0 {
				d /= 4 // to warm up
			}
			cost, _, err := p.round(d)
			if err != nil {
				return nil, fmt.Errorf("%s, %d workers: %w", p.strategy, workers, err)
			}
			if i > 0 {
				all[p.strategy] = append(all[p.strategy], cost)
			}
		}
	}
	median := make(map[string]time.Duration)
	for s, costs := range all {
		slices.Sort(costs)
		median[s] = costs[len(costs)/2]
	}
	return median, nil
}

// judge compares the default with the plain strategies that were measured.
func judge(workers int, cost map[string]time.Duration) (string, bool) {
	auto, ok := cost["auto"]
	if !ok {
		return "", true
	}
	var words []string
	good := true
	var cheapest time.Duration
	for _, s := range plain {
		if c, ok := cost[s]; ok && (cheapest == 0 || c < cheapest) {
			cheapest = c
		}
	}
	if cheapest > 0 {
		r := float64(auto) / float64(cheapest)
		good = r <= maxOfCheapest
		words = append(words, fmt.Sprintf("auto/cheapest %.2f", r))
	}
	if naive, ok := cost["naive"]; ok {
		r := float64(naive) / float64(auto)
		if workers == 256 {
			good = good && r >= minOfNaive
		}
		words = append(words, fmt.Sprintf("naive/auto %.1f", r))
	}
	return strings.Join(words, ", "), good
}

func (c config) spreads(strategy string) (one, burst float64, err error) {
	p, err := startPool(strategy, spreadWorkers)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if one, err = p.spread(spreadConns, false); err != nil {
		return 0, 0, err
	}
	burst, err = p.spread(spreadConns, true)
	return one, burst, err
}
