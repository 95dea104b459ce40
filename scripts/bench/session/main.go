// Command session measures what a session costs a request: the requests a
// second of a handler that reads and writes one, against the same handler
// without.
//
//	go run ./scripts/bench/session
//	go run ./scripts/bench/session -check   exit 1 when the ratio is not what is promised
//
// What is measured: `prefork run -w 2` with Go workers that serve HTTP/1.1 on a
// Unix socket. Both handlers count and render a page of about 2 KB from an
// html/template. One counts in a variable of its own, the other in the session
// of the client (load, add one, save, for each request). Clients keep their
// connection, ask for the next page when they have the one before, and have a
// session each; what they send differs by the cookie only. They are on the same
// machine and want its processors too, as little as they can: they write a
// request that is ready and look for the end of the page.
//
// Rounds of both are made in turns, and each round is compared with the one
// beside it: what else the machine does falls upon both. The median counts.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// wanted is the least that the throughput with sessions may be of that without.
const wanted = 0.9

func main() {
	if os.Getenv(envWorker) != "" {
		if err := serve(); err != nil {
			fmt.Fprintf(os.Stderr, "session: worker: %v\n", err)
			os.Exit(1)
		}
		return
	}
	c := config{}
	flag.IntVar(&c.rounds, "rounds", 41, "rounds of each; the median counts")
	flag.DurationVar(&c.round, "round", 100*time.Millisecond, "length of a round")
	flag.IntVar(&c.clients, "clients", 8, "connections at a time")
	flag.StringVar(&c.prefork, "prefork", "", "the binary; empty: it is built")
	check := flag.Bool("check", false, "exit 1 when the ratio is not what is promised")
	flag.Parse()
	if c.rounds < 1 || c.clients < 1 || c.round <= 0 {
		fmt.Fprintln(os.Stderr, "session: error: rounds, round and clients must be more than 0")
		os.Exit(2)
	}
	r, err := c.run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "session: error: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(r)
	if r.ratio() >= wanted {
		fmt.Println("as promised")
		return
	}
	fmt.Printf("not as promised: %.2f (want %.1f)\n", r.ratio(), wanted)
	if *check {
		os.Exit(1)
	}
}

// config is one run of the bench.
type config struct {
	rounds, clients int
	round           time.Duration
	prefork         string
}

func (c config) run() (r result, err error) {
	p, err := startPool(c.prefork)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	clients := make([]*client, c.clients)
	for i := range clients {
		if clients[i], err = connect(p.socket); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, clients[i].conn.Close()) }()
	}
	for i := range c.rounds + 1 {
		var pair [2]round
		for j := range pair {
			// The first of a pair is once the one, once the other.
			which := (i + j) % 2
			if pair[which], err = measure(p, clients, which, c.round); err != nil {
				return r, fmt.Errorf("%s: %w", paths[which], err)
			}
		}
		if i > 0 { // the first warms up
			r = append(r, pair)
		}
	}
	return r, nil
}
