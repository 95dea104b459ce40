package master

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestHelperLimitsLeaveTheAddressSpace(t *testing.T) {
	list := helperLimits([]Rlimit{{Name: "as", Resource: unix.RLIMIT_AS, Cur: 1}, {Name: "nofile", Resource: unix.RLIMIT_NOFILE, Cur: 2}})
	if len(list) != 1 || list[0].Name != "nofile" {
		t.Errorf("%+v", list)
	}
}

func TestALineWithAPriorityIsTheHelpersReport(t *testing.T) {
	in := newInbox()
	n := &notifySource{in: in, id: 4}
	for line, taken := range map[string]bool{"<4>damaged": true, "<7>x": true, "<8>x": false, "<4>": false, "panic: x": false, "": false} {
		if n.report([]byte(line)) != taken {
			t.Errorf("%q: taken %v", line, !taken)
		}
	}
	for range 2 * maxQueued {
		n.report([]byte("<4>again"))
	}
	if got := len(in.take()); got != maxQueued {
		t.Errorf("%d reports wait, want the bound of %d", got, maxQueued)
	}
	if n.dropped.Load() == 0 {
		t.Error("what is above the bound is not counted")
	}
}
