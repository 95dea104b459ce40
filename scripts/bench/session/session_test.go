package main

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(envWorker) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The bench runs and gives a ratio; what it is, a loaded machine does not say.
func TestBenchComparesRequestsWithAndWithoutASession(t *testing.T) {
	r, err := config{rounds: 3, clients: 2, round: 20 * time.Millisecond}.run()
	if err != nil {
		t.Fatal(err)
	}
	if ratio := r.ratio(); len(r) != 3 || math.IsNaN(ratio) || ratio <= 0 {
		t.Errorf("ratio %v of %d pairs", ratio, len(r))
	}
	t.Log(r)
}

func TestRatioIsTheMedianOfPairs(t *testing.T) {
	second := func(n int64) round { return round{requests: n, took: time.Second} }
	r := result{{second(100), second(90)}, {second(10), second(1)}, {second(1000), second(950)}}
	if got := r.ratio(); got != 0.9 {
		t.Errorf("%v", got)
	}
}
