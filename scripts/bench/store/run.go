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
	sizes, processes []int
	backends         []string
	rounds           int
	round            time.Duration
	sessions         int
	prefork          string
	requests         int
}

// cell names one measurement.
type cell struct {
	backend   string
	entries   int
	processes int
	verb      string
}

// table has the medians.
type table map[cell]result

// promises are the figures that are not what is promised.
type promises []string

func (p promises) Error() string { return strings.Join(p, "; ") }

// What is promised. The time of an operation is the CPU that its process had:
// the store and the map wait for nothing else, and what else the machine does
// is no part of it.
const (
	maxGet10k   = time.Microsecond
	maxSet10k   = 2 * time.Microsecond
	maxGet1M    = 2 * time.Microsecond
	minOfRedis  = 20.0 // times its throughput, at 8 processes
	minOfServer = 0.9  // of redis-server's own, under redis-benchmark
)

func (c *config) run() error {
	all := table{}
	fmt.Printf("values of %d bytes, median of %d rounds of %v\n", valueSize, c.rounds, c.round)
	fmt.Printf("%9s %4s %12s %12s %12s %12s %14s %12s\n", "entries", "op", "backend", "processes", "ns/op", "ns of CPU", "ops/s", "store is x")
	for _, n := range c.sizes {
		if err := c.measure(n, all); err != nil {
			return err
		}
		c.print(n, all)
	}
	broken := c.judge(all)
	if err := large(); err != nil {
		return err
	}
	if c.sessions > 0 {
		if err := memory(c.sessions); err != nil {
			return err
		}
	}
	if c.requests > 0 {
		more, err := c.protocol()
		if err != nil {
			return err
		}
		broken = append(broken, more...)
	}
	if len(broken) > 0 {
		return broken
	}
	return nil
}

// measure has the processes of all backends alive at once and measures them
// in turns: what else the machine does meets all of them.
func (c *config) measure(entries int, all table) (err error) {
	var running []*processes
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.stop())
		}
	}()
	for _, kind := range c.backends {
		count := slices.Max(c.processes)
		if kind == "map" {
			count = 1
		}
		p, err := start(kind, entries, count)
		if err != nil {
			return err
		}
		running = append(running, p)
	}
	rounds := map[cell][]result{}
	for i := range c.rounds + 1 {
		for _, count := range c.processes {
			for _, verb := range []string{"get", "set"} {
				for _, p := range running {
					if count > len(p.workers) {
						continue
					}
					d := c.round
					if i == 0 {
						d /= 4 // to warm up
					}
					r, err := p.round(verb, count, d)
					if err != nil {
						return err
					}
					if i > 0 {
						at := cell{p.kind, entries, count, verb}
						rounds[at] = append(rounds[at], r)
					}
				}
			}
		}
	}
	for at, r := range rounds {
		slices.SortFunc(r, func(a, b result) int { return int(a.cpu - b.cpu) })
		cpu := r[len(r)/2].cpu
		slices.SortFunc(r, func(a, b result) int { return int(a.perOp - b.perOp) })
		middle := r[len(r)/2]
		all[at] = result{middle.perOp, cpu, middle.rate}
	}
	return nil
}

func (c *config) print(entries int, all table) {
	for _, verb := range []string{"get", "set"} {
		for _, kind := range c.backends {
			for _, count := range c.processes {
				r, ok := all[cell{kind, entries, count, verb}]
				if !ok {
					continue
				}
				ratio := ""
				if ours, ok := all[cell{"store", entries, count, verb}]; ok && kind != "store" {
					ratio = fmt.Sprintf("%.2f", ours.rate/r.rate)
				}
				fmt.Printf("%9d %4s %12s %12d %12d %12d %14.0f %12s\n", entries, verb, kind, count, r.perOp.Nanoseconds(), r.cpu.Nanoseconds(), r.rate, ratio)
			}
		}
	}
}

// judge holds what was measured against what is promised.
func (c *config) judge(all table) promises {
	var broken promises
	below := func(entries int, verb string, most time.Duration) {
		if r, ok := all[cell{"store", entries, 1, verb}]; ok && r.cpu >= most {
			broken = append(broken, fmt.Sprintf("%s at %d entries: %v (want under %v)", verb, entries, r.cpu, most))
		}
	}
	below(10_000, "get", maxGet10k)
	below(10_000, "set", maxSet10k)
	below(1_000_000, "get", maxGet1M)
	growth := func(kind string) (float64, bool) {
		small, ok1 := all[cell{kind, 1000, 1, "get"}]
		large, ok2 := all[cell{kind, 1_000_000, 1, "get"}]
		return float64(large.cpu) / float64(small.cpu), ok1 && ok2
	}
	if ours, ok := growth("store"); ok {
		if theirs, ok := growth("map"); ok {
			fmt.Printf("get from 1,000 to 1,000,000 entries: store %.2f times, map %.2f times\n", ours, theirs)
			if ours > theirs {
				broken = append(broken, fmt.Sprintf("get grows %.2f times from 1,000 to 1,000,000 entries, a map %.2f times", ours, theirs))
			}
		}
	}
	for _, n := range c.sizes {
		for _, verb := range []string{"get", "set"} {
			ours, ok1 := all[cell{"store", n, 8, verb}]
			theirs, ok2 := all[cell{"redis", n, 8, verb}]
			if !ok1 || !ok2 {
				continue
			}
			if ratio := ours.rate / theirs.rate; ratio < minOfRedis {
				broken = append(broken, fmt.Sprintf("%s at %d entries, 8 processes: %.1f times Redis (want %.0f)", verb, n, ratio, minOfRedis))
			}
		}
	}
	return broken
}
