package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pipelines are the depths that redis-benchmark is run with.
var pipelines = []int{1, 16}

// protocol compares the Redis-protocol socket of a pool with redis-server: the
// same redis-benchmark, in turns, and the medians.
func (c *config) protocol() (broken promises, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	theirs := filepath.Join(dir, "redis")
	endTheirs, err := startServer(theirs, "redis-server", redisArguments(theirs)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, endTheirs()) }()
	prefork, err := c.binary(dir)
	if err != nil {
		return nil, err
	}
	control := filepath.Join(dir, "control")
	ours := control + ".store"
	endOurs, err := startServer(ours, prefork, "run", "--control", control, "--log-level", "error", "-l", "127.0.0.1:0", "-w", "1",
		"--ready", "alive:0s", "--settle", "0s", "--", "sleep", "10000")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, endOurs()) }()

	fmt.Printf("\nredis-benchmark on a Unix socket, 50 clients, values of %d bytes, requests a second: median of %d runs in turns\n", valueSize, c.rounds)
	fmt.Printf("%4s %6s %14s %14s %8s\n", "-P", "", "prefork", "redis-server", "ratio")
	for _, depth := range pipelines {
		rates := map[string][]float64{}
		for range c.rounds {
			for name, socket := range map[string]string{"prefork": ours, "redis": theirs} {
				all, err := c.benchmark(socket, depth)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				for verb, rate := range all {
					rates[name+verb] = append(rates[name+verb], rate)
				}
			}
		}
		for _, verb := range []string{"GET", "SET"} {
			a, b := rates["prefork"+verb], rates["redis"+verb]
			ratio := ratioOf(a, b)
			fmt.Printf("%4d %6s %14.0f %14.0f %8.2f\n", depth, verb, middle(a), middle(b), ratio)
			if ratio < minOfServer {
				broken = append(broken, fmt.Sprintf("redis-benchmark -P %d %s: %.2f of redis-server (want %.1f)", depth, verb, ratio, minOfServer))
			}
		}
	}
	return broken, nil
}

// binary gives the path of prefork.
func (c *config) binary(dir string) (string, error) {
	if c.prefork != "" {
		return c.prefork, nil
	}
	path := filepath.Join(dir, "prefork")
	cmd := exec.Command("go", "build", "-o", path, "prefork/cmd/prefork")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build prefork: %w\n%s", err, out)
	}
	return path, nil
}

// benchmark runs redis-benchmark once and gives its rates by command.
func (c *config) benchmark(socket string, depth int) (map[string]float64, error) {
	requests := c.requests
	if depth == 1 {
		requests /= 4
	}
	out, err := exec.Command("redis-benchmark", "-s", socket, "-t", "set,get", "-n", strconv.Itoa(requests), "-r", "10000",
		"-c", "50", "-d", strconv.Itoa(valueSize), "-P", strconv.Itoa(depth), "--csv").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("redis-benchmark: %w\n%s", err, out)
	}
	rates := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",") // "test","rps",...
		if len(f) < 2 || f[0] != `"SET"` && f[0] != `"GET"` {
			continue
		}
		rate, err := strconv.ParseFloat(strings.Trim(f[1], `"`), 64)
		if err != nil {
			return nil, fmt.Errorf("redis-benchmark said %q", line)
		}
		rates[strings.Trim(f[0], `"`)] = rate
	}
	if len(rates) != 2 {
		return nil, fmt.Errorf("redis-benchmark said %q", out)
	}
	return rates, nil
}

// ratioOf gives the median of the ratios of neighbours: what else the machine
// does meets both of them.
func ratioOf(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return middle(ratios)
}

func middle(all []float64) float64 {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
