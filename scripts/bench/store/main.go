// Command store measures the store beside what people use for the same: Redis
// and memcached over a Unix socket, and, as the limit, a Go map with a mutex
// in one process, which shares nothing.
//
//	go run ./scripts/bench/store
//	go run ./scripts/bench/store -quick
//	go run ./scripts/bench/store -check     exit 1 when a figure is not what is promised
//
// All of them have the same keys and values of 256 bytes. Processes that
// measure have GOMAXPROCS 1 and do one operation at a time; rounds of all
// backends are interleaved, and the median round counts. The clients of Redis
// and memcached write and read with plain blocking system calls: a real client
// is slower, so the ratios are too small rather than too large.
//
// One part more needs the binary: redis-benchmark is sent to the Redis-protocol
// socket of a pool and to redis-server, in turns. What a session costs a request
// is scripts/bench/session's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	if os.Getenv(envBackend) != "" {
		fmt.Fprintf(os.Stderr, "store: worker: %v\n", runWorker())
		os.Exit(1)
	}
	c := config{}
	sizes := flag.String("entries", "1000,10000,1000000", "numbers of entries")
	processes := flag.String("processes", "1,2,8", "numbers of processes")
	backends := flag.String("backends", "store,redis,memcached,map", "what to compare")
	flag.IntVar(&c.rounds, "rounds", 5, "rounds of each measurement; the median counts")
	flag.DurationVar(&c.round, "round", 300*time.Millisecond, "length of a round")
	flag.IntVar(&c.sessions, "sessions", 1_000_000, "sessions whose memory is stated; 0: none")
	flag.StringVar(&c.prefork, "prefork", "", "the binary; empty: it is built")
	flag.IntVar(&c.requests, "requests", 400_000, "requests of a run of redis-benchmark with -P 16, a quarter with -P 1; 0: nothing that needs the binary")
	quick := flag.Bool("quick", false, "3 short rounds, at most 10,000 entries and sessions")
	check := flag.Bool("check", false, "exit 1 when a figure is not what is promised")
	flag.Parse()
	if *quick {
		c.rounds, c.round, c.sessions, c.requests = 3, 50*time.Millisecond, 10_000, min(c.requests, 100_000)
		if !given("entries") {
			*sizes = "1000,10000"
		}
	}
	c.backends = strings.Split(*backends, ",")
	var err error
	if c.sizes, err = numbers(*sizes); err == nil {
		c.processes, err = numbers(*processes)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "store: error: %v\n", err)
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	err = c.run()
	var broken promises
	switch {
	case errors.As(err, &broken):
		fmt.Printf("\nnot as promised: %v\n", err)
		if *check {
			os.Exit(1)
		}
	case err != nil:
		fmt.Fprintf(os.Stderr, "store: error: %v\n", err)
		os.Exit(1)
	default:
		fmt.Println("\nall as promised")
	}
}

// given says whether a flag stands on the command line.
func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func numbers(list string) ([]int, error) {
	var all []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number from 1 on", text)
		}
		all = append(all, n)
	}
	return all, nil
}
