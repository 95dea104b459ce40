//go:build faults

package faults

import (
	"net/http"
	"testing"
)

// The rig itself, on a pool of Go workers: start, load, reload, stop, and
// nothing left.
func TestRigRunsPool(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	load.Until(t, 100)
	before := p.Status(t)
	if got := len(Ready(before)); got != 2 {
		t.Fatalf("%d workers ready: %+v", got, before)
	}
	p.Reload(t)
	after := p.Status(t)
	if after.Generation != before.Generation+1 {
		t.Errorf("generation %d after a reload of %d", after.Generation, before.Generation)
	}
	load.Until(t, 100)
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	mark := p.Notify.Mark()
	p.Stop(t)
	p.Notify.WaitAfter(t, mark, "STOPPING=1")
	if _, err := http.Get("http://" + after.Listeners[0].Address); err == nil {
		t.Error("somebody answers after the stop")
	}
}
