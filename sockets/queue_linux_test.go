package sockets_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

func TestQueueIsReadWithoutAccepting(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", "unix:" + socketPath(t), "unix:@" + abstractName(t)} {
		s := listen(t, text+"?backlog=10")
		check := func(want int) {
			t.Helper()
			eventually(t, "the queue is as long as it must be", func() bool {
				queue, backlog, err := s.Depth()
				if err != nil || backlog != 10 {
					t.Fatalf("%s: Depth() = %d, %d, %v", text, queue, backlog, err)
				}
				return queue == want
			})
			if q, err := s.Queued(); q != (want > 0) || err != nil {
				t.Errorf("%s: Queued() = %t, %v with %d in the queue", text, q, err, want)
			}
		}
		check(0)
		for range 3 {
			dial(t, s).connected()
		}
		check(3)
		accept(t, s)
		check(2)
		accept(t, s)
		accept(t, s)
		check(0)
	}
}

func TestQueueOfAClosedSocketIsAnError(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:@" + abstractName(t)} {
		s := listen(t, text)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.FD = 1 << 20
		if _, err := s.Queued(); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: Queued: %v", text, err)
		}
		if _, _, err := s.Depth(); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: Depth: %v", text, err)
		}
		s.FD = -1
	}
}

// A handshake counts for the listener that it is meant for, not for another
// one of the same port.
func TestSynRecvIsThatOfTheListener(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	other, err := sockets.Listen(mustParse(t, "127.0.0.2:"+s.Addr.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	check := func(l *sockets.Socket, want bool) {
		t.Helper()
		eventually(t, "handshakes are as they must be", func() bool {
			got, err := l.SynRecv()
			if err != nil {
				t.Fatal(err)
			}
			return got == want
		})
	}
	check(s, false)
	c := dialDeaf(t, s)
	check(s, true)
	if got, err := other.SynRecv(); got || err != nil {
		t.Errorf("the other listener: %t, %v", got, err)
	}
	if q, err := s.Queued(); q || err != nil {
		t.Errorf("Queued() = %t, %v with a handshake only", q, err)
	}
	c.hear()
	c.connected()
	check(s, false)
	accept(t, s)
}

// IPv4 clients of an IPv6 listener are mapped ones.
func TestSynRecvSeesMappedAddresses(t *testing.T) {
	s := listen(t, ":0")
	c := newClient(t, &unix.SockaddrInet4{})
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	prog := unix.SockFprog{Len: 1, Filter: &drop[0]}
	if err := unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		t.Fatal(err)
	}
	port := sockaddr(t, s).(*unix.SockaddrInet6).Port
	if err := unix.Connect(c.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	eventually(t, "the handshake is seen", func() bool {
		got, err := s.SynRecv()
		if err != nil {
			t.Fatal(err)
		}
		return got
	})
}

func TestUnixHasNoHandshake(t *testing.T) {
	s := listen(t, "unix:@"+abstractName(t))
	if got, err := s.SynRecv(); got || err != nil {
		t.Errorf("SynRecv() = %t, %v", got, err)
	}
}

func TestOverflowsAreCounted(t *testing.T) {
	before, err := sockets.Overflows()
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, "127.0.0.1:0?backlog=1")
	for range 8 { // two fit: the kernel lets the queue pass its limit by one
		dial(t, s)
	}
	eventually(t, "the counter grows", func() bool {
		now, err := sockets.Overflows()
		if err != nil {
			t.Fatal(err)
		}
		return now > before
	})
}
