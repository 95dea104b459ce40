package master

import (
	"testing"

	"prefork/master/internal/pool"
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
