// Command accept measures the accept strategies of Go workers: the CPU that a
// connection costs among idle workers, and how evenly long-lived connections
// spread.
//
//	go run ./scripts/bench/accept
//	go run ./scripts/bench/accept -quick
//
// One pool a strategy is alive at a time for each worker count; rounds of all
// of them are interleaved, and the median round counts. The CPU is that of the
// workers and of the client, since the kernel wakes the workers in the context
// of whoever connects (loopback). Every process has GOMAXPROCS 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// filelistener is the strategy of a program that knows nothing of this one:
// net.FileListener, then Accept.
const filelistener = "filelistener"

func main() {
	if os.Getenv(envStrategy) != "" {
		fmt.Fprintf(os.Stderr, "accept: worker: %v\n", runWorker())
		os.Exit(1)
	}
	c := config{}
	counts := flag.String("counts", "2,16,64,256", "numbers of idle workers")
	strategies := flag.String("strategies", "filelistener,naive,exclusive,rotate,fair,blocking,auto", "what to compare")
	flag.IntVar(&c.rounds, "rounds", 5, "rounds of each strategy; the median counts")
	flag.DurationVar(&c.round, "round", time.Second, "length of a round")
	quick := flag.Bool("quick", false, "3 short rounds at 2, 16 and 64 workers")
	check := flag.Bool("check", false, "exit 1 when a figure is not what docs/explanation/accept.md promises")
	flag.Parse()
	if *quick {
		c.rounds, c.round, *counts = 3, 200*time.Millisecond, "2,16,64"
	}
	c.strategies = strings.Split(*strategies, ",")
	for text := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "accept: error: worker count %q\n", text)
			os.Exit(2)
		}
		c.counts = append(c.counts, n)
	}
	runtime.GOMAXPROCS(1)
	good, err := c.run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "accept: error: %v\n", err)
		os.Exit(1)
	}
	if *check && !good {
		os.Exit(1)
	}
}
