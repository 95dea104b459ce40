package resp

import (
	"context"
	"testing"
	"time"

	"prefork/ipc/store"
)

// still is a store that allocates nothing, to see what the server does.
type still struct {
	store.Store
	value []byte
}

func (s *still) GetInto(_ context.Context, _ string, into []byte) (store.Entry, bool, error) {
	return store.Entry{Value: append(into, s.value...), Version: 1}, true, nil
}

func (s *still) Set(context.Context, string, []byte, store.Write) (uint64, error) { return 1, nil }

func (s *still) Touch(context.Context, string, time.Duration) (bool, error) { return true, nil }

func TestGetAndSetAllocateNothing(t *testing.T) {
	s := newServer(context.Background(), &still{value: make([]byte, 256)}, Options{})
	c := s.join(0)
	for _, input := range []string{
		"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n",
		"*5\r\n$3\r\nset\r\n$3\r\nkey\r\n$5\r\nvalue\r\n$2\r\nEX\r\n$4\r\n3600\r\n", "*4\r\n$5\r\nSETEX\r\n$3\r\nkey\r\n$2\r\n10\r\n$1\r\nv\r\n",
		"*3\r\n$6\r\nEXPIRE\r\n$1\r\na\r\n$2\r\n10\r\n", "*1\r\n$4\r\nPING\r\n",
	} {
		b := []byte(input)
		if n := testing.AllocsPerRun(100, func() {
			s.r.b = s.r.b[:0]
			if used, _ := s.execute(c, b); used != len(b) {
				t.Fatal("it was not executed")
			}
		}); n > 0 {
			t.Errorf("%q allocates %v times", input, n)
		}
	}
}
