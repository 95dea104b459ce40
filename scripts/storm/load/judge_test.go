package load_test

import (
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

func TestDipComparesWhatFollowsAFaultWithTheRest(t *testing.T) {
	// Ten tenths of a second each: calm at 100 answers, 60 after each fault.
	var r load.Result
	for i := range 60 {
		n := 100
		if i%20 >= 10 {
			n = 60
		}
		r.Intervals = append(r.Intervals, n)
	}
	r.Intervals[35] = 10
	for _, at := range []time.Duration{1, 3, 5} {
		r.Marks = append(r.Marks, load.MarkedTime{At: at * time.Second, Name: "reload"})
	}
	d := r.Dip()
	if d.Window != time.Second || d.Calm != 1000 || d.Worst != 100 || d.Share < 0.4 || d.Share > 0.45 {
		t.Errorf("%+v, want a window of 1s, 1000/s in calm, 100/s at worst, a dip of 0.42", d)
	}
	// Faults that come quickly leave half of the time to compare with.
	for i := range r.Marks {
		r.Marks[i].At = time.Second + time.Duration(i)*400*time.Millisecond
	}
	if d := r.Dip(); d.Window != 200*time.Millisecond {
		t.Errorf("window %v, want 200ms", d.Window)
	}
	r.Marks = nil
	if d := r.Dip(); d != (load.Dip{}) {
		t.Errorf("no fault: %+v", d)
	}
}
