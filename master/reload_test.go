package master

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"prefork/master/internal/pool"
	"prefork/sockets"
)

// A reload that is long in coming is asked for by clients that do not wait for
// its verdict, as often as they like.
func TestCallersThatHaveLeftAreForgotten(t *testing.T) {
	var m master // a pool before its begin: a reload waits
	var stays call
	m.reload(&stays)
	for range 1000 {
		var leaves call
		m.reload(&leaves)
		leaves.gone.Store(true)
	}
	if len(m.waiting) > 2 || m.waiting[0] != &stays {
		t.Errorf("%d calls are kept for one caller that waits", len(m.waiting))
	}
	if m.pool.Phase() != pool.PhaseNew {
		t.Error("the pool has begun")
	}
}

// What a reload reads may be long in coming: the loop goes on meanwhile, and a
// stop does not take the answer for a generation any more.
func TestLoopDoesNotWaitForAConfigurationThatIsRead(t *testing.T) {
	m := &master{log: hclog.NewNullLogger(), readings: make(chan reading, 1)}
	answer := make(chan error)
	m.opt.Load = func() (Config, error) { return Config{}, <-answer }
	m.load(2) // returns
	answer <- errors.New("directory server does not answer")
	if r := <-m.readings; r.number != 2 || r.err == nil {
		t.Errorf("%+v", r)
	}
	m.load(2) // begins to read; nobody waits for it when the loop ends
	m.opt.Load = nil
	answer <- nil
	if r := <-m.readings; r.err != nil || m.read(r) != nil || len(m.gens) != 0 {
		t.Errorf("%+v is taken by a pool that asked for none", r)
	}
}

func TestOwnersOfASocketAreNumbersBeforeItIsBound(t *testing.T) {
	a, err := sockets.Parse("unix:/run/x.sock?user=root&group=root")
	if err != nil {
		t.Fatal(err)
	}
	if err := numberOwners(&a); err != nil || a.Options.User != "0" || a.Options.Group != "0" {
		t.Errorf("user %q, group %q, %v", a.Options.User, a.Options.Group, err)
	}
	a.Options.User, a.Options.Group = "4711", "4712" // without an entry
	if err := numberOwners(&a); err != nil || a.Options.User != "4711" || a.Options.Group != "4712" {
		t.Errorf("user %q, group %q, %v", a.Options.User, a.Options.Group, err)
	}
	a.Options.Group = "no-such-group"
	if err := numberOwners(&a); err == nil || !strings.Contains(err.Error(), `unix:/run/x.sock?user=4711&group=no-such-group: group "no-such-group" does not exist`) {
		t.Errorf("%v", err)
	}
}
