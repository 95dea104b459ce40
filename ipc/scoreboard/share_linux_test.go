package scoreboard_test

import (
	"strconv"
	"testing"
	"time"

	"prefork/ipc/scoreboard"
)

func ready(t testing.TB, b *scoreboard.Board, slot, generation, connections int) *scoreboard.Cell {
	t.Helper()
	_, c := alloc(t, b, slot, generation)
	c.SetState(scoreboard.StateReady)
	c.AddConnections(connections)
	return c
}

func TestShareIsTheMeanOfTheReadyOnesOfAGeneration(t *testing.T) {
	b := create(t)
	ready(t, b, 0, 1, 1000) // the old generation
	c := ready(t, b, 0, 2, 8)
	ready(t, b, 1, 2, 2)
	draining := ready(t, b, 2, 2, 500)
	draining.SetState(scoreboard.StateDraining)
	alloc(t, b, 3, 2) // starting: accepts nothing yet
	gone, _ := alloc(t, b, 4, 2)
	b.Free(gone)
	if mine, mean := c.Share(); mine != 8 || mean != 5 {
		t.Fatalf("Share = %d, %v; want 8, 5", mine, mean)
	}
	// It counts itself, whatever it says of its state.
	if mine, mean := draining.Share(); mine != 500 || mean != 170 {
		t.Fatalf("Share of the draining one = %d, %v; want 500, 170", mine, mean)
	}
}

func TestShareOfManyIsSoonTrue(t *testing.T) {
	b := create(t)
	c := ready(t, b, 0, 1, 0)
	for slot := range 99 {
		ready(t, b, slot+1, 1, 1)
	}
	c.Share()
	c.AddConnections(101)
	if mine, _ := c.Share(); mine != 101 {
		t.Fatalf("own connections %d, want 101 at once", mine)
	}
	deadline := time.Now().Add(10 * time.Second)
	for mean := 0.0; mean != 2; _, mean = c.Share() {
		if time.Now().After(deadline) {
			t.Fatalf("the mean is still %v, want 2", mean)
		}
	}
}

func BenchmarkShare(b *testing.B) {
	for _, workers := range []int{8, 32, 256} {
		board := create(b)
		c := ready(b, board, 0, 1, 1)
		for slot := range workers - 1 {
			ready(b, board, slot+1, 1, 1)
		}
		b.Run(strconv.Itoa(workers), func(b *testing.B) {
			for b.Loop() {
				c.Share()
			}
		})
	}
}
