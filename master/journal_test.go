package master

import (
	"os"
	"testing"
)

func TestLinesThatTheJournalDoesNotTakeAreCounted(t *testing.T) {
	o := &output{file: os.Stderr, journal: &journal{fd: -1}}
	o.write(chunk{slot: 0, text: []byte("one\ntwo\n")})
	if n := o.dropped.Load(); n != 8 {
		t.Errorf("%d bytes are counted as dropped, want 8", n)
	}
}
