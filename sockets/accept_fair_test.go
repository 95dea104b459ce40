package sockets

import "testing"

func TestWorkerStandsBackOnlyWellAboveItsShare(t *testing.T) {
	for _, c := range []struct {
		held, share int
		over        bool
	}{
		{0, 0, false}, {1, 1, false}, {2, 1, false}, {3, 1, false}, {4, 1, true},
		{18, 16, false}, {20, 16, false}, {21, 16, true}, {24, 16, true}, // max/mean stays below 1.5
		{1126, 1000, false}, {1128, 1000, true},
	} {
		f := &fairness{held: func() int { return c.held }, share: func() int { return c.share }}
		if got := f.over(); got != c.over {
			t.Errorf("%d held, share %d: over is %v", c.held, c.share, got)
		}
	}
}

func TestStandingBackEndsWhenNobodyElseAccepts(t *testing.T) {
	f := &fairness{held: func() int { return 100 }, share: func() int { return 1 }}
	for i := range vainRests {
		if !f.over() {
			t.Fatalf("gave up after %d rests", i)
		}
		f.rested(true)
	}
	if f.over() {
		t.Error("stands back although connections wait and nobody takes them")
	}
	f.until = past
	if !f.over() {
		t.Error("never stands back again")
	}
}

func TestStandingBackGoesOnWhileOthersAccept(t *testing.T) {
	f := &fairness{held: func() int { return 100 }, share: func() int { return 1 }}
	for range 10 * vainRests {
		if !f.over() {
			t.Fatal("does not stand back")
		}
		f.rested(true)
		f.rested(false)
	}
}
