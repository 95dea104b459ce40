package resp

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"prefork/ipc/store"
)

// wire writes commands, given as words, as a client does.
func wire(lines ...string) []byte {
	var b []byte
	for _, line := range lines {
		words := strings.Fields(line)
		b = fmt.Appendf(b, "*%d\r\n", len(words))
		for _, word := range words {
			b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	return b
}

// hinted is a store that notes what it is asked for, in order.
type hinted struct {
	still
	calls []string
}

func (h *hinted) Warm(keys [][]byte) {
	h.calls = append(h.calls, fmt.Sprintf("warm %s", bytes.Join(keys, []byte(" "))))
}

func (h *hinted) GetInto(ctx context.Context, key string, into []byte) (store.Entry, bool, error) {
	h.calls = append(h.calls, "get "+key)
	return h.still.GetInto(ctx, key, into)
}

func TestTheStoreIsToldOfAPipelinesKeysBeforeTheFirstIsRead(t *testing.T) {
	h := &hinted{}
	s := newServer(context.Background(), h, Options{})
	c := s.join(0)
	long := strings.Repeat("k", store.MaxKey+1)
	b := wire("GET a", "PING", "get b", "GET "+long, "GET c")
	if used, more := s.execute(c, b); used != len(b) || more {
		t.Fatalf("%d bytes of %d were executed, more %v", used, len(b), more)
	}
	want := []string{"warm a b c", "get a", "get b", "get c"}
	if !slices.Equal(h.calls, want) {
		t.Errorf("the store was asked for %q, want %q", h.calls, want)
	}
	h.calls = nil
	s.execute(c, wire("GET a", "PING"))
	if want := []string{"get a"}; !slices.Equal(h.calls, want) {
		t.Errorf("for one key the store was asked for %q, want %q", h.calls, want)
	}
}

func TestTheStoreIsToldNothingByAGuest(t *testing.T) {
	h := &hinted{}
	s := newServer(context.Background(), h, Options{Password: "secret"})
	s.execute(s.join(0), wire("GET a", "GET b"))
	if h.calls != nil {
		t.Errorf("the store was asked for %q", h.calls)
	}
}

func TestNoArgumentOutlivesItsTurn(t *testing.T) {
	s := newServer(context.Background(), &hinted{}, Options{Inline: true})
	c := s.join(0)
	s.execute(c, append(wire("GET a", "MGET b c d e f g h i j k l", "GET m"), "get n\r\n"...))
	for name, args := range map[string][][]byte{"argv": s.argv, "ahead": s.ahead.argv, "keys": s.ahead.keys} {
		for _, arg := range args[:cap(args)] {
			if arg != nil {
				t.Errorf("%s still has %q", name, arg)
			}
		}
	}
}

func TestACommandParsedAheadIsHeldToTheBoundsOfItsTurn(t *testing.T) {
	big := strings.Repeat("v", guestBulk+1)
	for _, row := range []struct {
		name  string
		input []byte
		want  string
	}{
		{"a guest's command after RESET", wire("AUTH secret", "SET a "+big, "RESET", "SET b "+big),
			"+OK\r\n+OK\r\n+RESET\r\n-ERR Protocol error: unauthenticated bulk length\r\n"},
		{"a guest that authenticates in a pipeline", wire("GET a", "AUTH secret", "SET a "+big, "RESET", "GET a", "PING"),
			"-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+RESET\r\n-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"},
		{"garbage behind commands", append(wire("SET a 1", "GET a"), "*1\r\n$x\r\n"...),
			"-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n-ERR Protocol error: invalid bulk length\r\n"},
		{"commands behind QUIT", wire("QUIT", "AUTH secret"), "+OK\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newServer(context.Background(), &still{}, Options{Password: "secret"})
			c := s.join(0)
			for b := row.input; len(b) > 0; {
				used, more := s.execute(c, b)
				if b = b[used:]; !more {
					break
				}
			}
			if got := string(s.r.b); got != row.want {
				t.Errorf("it answered %q, want %q", got, row.want)
			}
		})
	}
}
