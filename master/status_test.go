package master

import (
	"testing"

	"prefork/ipc/scoreboard"
)

func TestImbalanceIsTheMostOverTheMean(t *testing.T) {
	cells := func(accepted ...int64) (list []scoreboard.Snapshot) {
		for _, n := range accepted {
			var s scoreboard.Snapshot
			s.AcceptedBy[1] = n
			list = append(list, s)
		}
		return list
	}
	for _, c := range []struct {
		place int
		cells []scoreboard.Snapshot
		want  float64
	}{
		{1, nil, 0},
		{1, cells(0, 0), 0},
		{1, cells(5, 5, 5), 1},
		{1, cells(9, 0, 0), 3},
		{1, cells(1, 2), 1.33},
		{0, cells(9, 0), 0},
		{1000, cells(9, 0), 0}, // a listener without a count of its own
	} {
		if got := imbalance(c.place, c.cells); got != c.want {
			t.Errorf("place %d of %v: %v, want %v", c.place, c.cells, got, c.want)
		}
	}
}
