package redis

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Slots as CLUSTER KEYSLOT of redis-server 7.0.15 gives them.
func TestSlotsAreThoseOfTheServer(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "foo": 12182, "bar": 5061, "hello": 866, "{foo}x": 12182, "x{foo}": 12182, "123456789": 12739,
		"{}foo": 9500, "foo{": 7673, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slot of %q: %d, want %d", key, got, want)
		}
	}
}

func TestLockIsBesideItsNameAndNamesNeverMeet(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{"", "a", "{a}", "{a}b", "b{a}", "a}", "}a{", "{}", "{}a", "{", "a{b", "a:prefork-lock", "{a}:prefork-lock", "{a}:prefork-lock-t"} {
		for _, suffix := range []string{suffixLock, suffixPlaces} {
			key := beside(name, suffix)
			if other, taken := seen[key]; taken {
				t.Errorf("%q%s and %s share %q", name, suffix, other, key)
			}
			seen[key] = name + suffix
			if odd := name == "" || !strings.Contains(name, "{a}") && strings.Contains(name, "}"); !odd && slotOf(key) != slotOf(name) {
				t.Errorf("%q is in slot %d, %q in %d", name, slotOf(name), key, slotOf(key))
			}
		}
	}
}

func TestBreakerLetsOneThroughAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker{limit: 3, wait: time.Second}
		down := errors.New("down")
		call := func(v verdict) bool {
			probe, err := b.allow()
			if err == nil {
				b.done(probe, v, down)
			}
			return err == nil
		}
		call(failed)
		call(failed)
		call(answered) // in a row
		call(failed)
		call(failed)
		call(saysNothing)
		if h := b.health(); h.State != StateClosed || h.Failed != 4 {
			t.Fatalf("%+v", h)
		}
		call(failed)
		if h := b.health(); h.State != StateOpen || h.Err != down {
			t.Fatalf("%+v", h)
		}
		if call(answered) {
			t.Fatal("a call was let through at once")
		}
		<-time.After(time.Second) // of the bubble
		probe, err := b.allow()
		if !probe || err != nil || b.health().State != StateHalfOpen {
			t.Fatalf("%v, %v", probe, err)
		}
		if call(answered) {
			t.Fatal("a second call was let through")
		}
		b.done(probe, failed, down) // another second
		if call(answered) {
			t.Fatal("a call was let through at once")
		}
		<-time.After(time.Second) // of the bubble
		if !call(saysNothing) {   // the caller went away: the next one looks
			t.Fatal("no call was let through")
		}
		if !call(answered) || b.health().State != StateClosed || b.health().Err != nil {
			t.Fatalf("%+v", b.health())
		}
	})
}

// pieces is a connection that gives what it has in pieces of a size.
type pieces struct {
	net.Conn
	rest string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	if n == 0 {
		return 0, net.ErrClosed
	}
	return n, nil
}

// accepted gives how much of a stream the guard lets through.
func accepted(stream string, size int, resp3 bool) (string, error) {
	g := &guard{Conn: &pieces{rest: stream, size: size}, scan: scanner{resp3: resp3}}
	var all strings.Builder
	buffer := make([]byte, 512)
	for {
		n, err := g.Read(buffer)
		all.Write(buffer[:n])
		if err != nil {
			return all.String(), err
		}
	}
}

func TestGuardSeesTheSameInPiecesOfAnySize(t *testing.T) {
	for _, good := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "$4\r\na\r\nb\r\n+OK\r\n", "*2\r\n*0\r\n$1\r\nx\r\n", "$3\r\n$99\r\n:7\r\n",
	} {
		for size := 1; size <= len(good); size++ {
			if got, err := accepted(good, size, false); got != good || !strings.Contains(err.Error(), net.ErrClosed.Error()) {
				t.Errorf("%q by %d: %q, %v", good, size, got, err)
			}
		}
	}
	for _, only3 := range []string{"%1\r\n+a\r\n+b\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "=7\r\ntxt:abc\r\n", ">1\r\n+x\r\n", "~0\r\n"} {
		if got, err := accepted(only3, 3, true); got != only3 {
			t.Errorf("%q: %q, %v", only3, got, err)
		}
		if got, err := accepted(only3, 3, false); got != "" {
			t.Errorf("%q of RESP3 was taken: %q, %v", only3, got, err)
		}
	}
}

// What the guard lets through has no header that announces too much, in
// whatever pieces it comes.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"+OK\r\n$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n", "$99999999999\r\n", "\r\n", "-ERR\r\n", "$2\r\n$9\r\n*70000\r\n"} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(7))
	}
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		inPieces, errPieces := accepted(stream, int(size)+1, false)
		if !strings.HasPrefix(stream, inPieces) {
			t.Fatalf("%q of %q", inPieces, stream)
		}
		byOne, errOne := accepted(stream, 1, false)
		// Piece by piece a stream is cut where it goes wrong, or before.
		if len(inPieces) > len(byOne) || fmt.Sprint(errPieces == nil) != fmt.Sprint(errOne == nil) {
			t.Fatalf("%q: by %d %q, by 1 %q", stream, size, inPieces, byOne)
		}
	})
}
