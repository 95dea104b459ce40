package sockets_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// tcpOptions is what the kernel has: keep-alive (0 or 1), idle, interval,
// defer-accept, fast-open, backlog.
func tcpOptions(t testing.TB, s *sockets.Socket) [6]int {
	t.Helper()
	_, backlog, err := s.Depth()
	if err != nil {
		t.Fatal(err)
	}
	return [6]int{
		sockopt(t, s.FD, unix.SOL_SOCKET, unix.SO_KEEPALIVE),
		sockopt(t, s.FD, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE),
		sockopt(t, s.FD, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL),
		sockopt(t, s.FD, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT),
		sockopt(t, s.FD, unix.IPPROTO_TCP, unix.TCP_FASTOPEN),
		backlog,
	}
}

func TestOptionsReachTheKernel(t *testing.T) {
	plain := tcpOptions(t, listen(t, "127.0.0.1:0"))
	if plain[0] != 0 || plain[3] != 0 || plain[4] != 0 {
		t.Fatalf("without options: %v", plain)
	}
	for _, tt := range []struct {
		query string
		want  func(o *[6]int)
	}{
		{"backlog=7", func(o *[6]int) { o[5] = 7 }},
		{"keepalive", func(o *[6]int) { o[0] = 1 }},
		{"keepalive=false", func(*[6]int) {}},
		{"keepalive=9s", func(o *[6]int) { o[0], o[1], o[2] = 1, 9, 9 }},
		{"keepalive=10m", func(o *[6]int) { o[0], o[1], o[2] = 1, 600, 75 }},
		{"defer-accept=1s", func(o *[6]int) { o[3] = 1 }},
		{"fast-open=16", func(o *[6]int) { o[4] = 16 }},
	} {
		for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
			s := listen(t, host+"?"+tt.query)
			want := plain
			tt.want(&want)
			if got := tcpOptions(t, s); got != want {
				t.Errorf("%s?%s: %v, want %v", host, tt.query, got, want)
			}
			// And back again, as by a reload that drops the option.
			if err := s.Apply(sockets.Options{}); err != nil {
				t.Fatal(err)
			}
			if got := tcpOptions(t, s); got[0] != plain[0] || [3]int(got[3:]) != [3]int(plain[3:]) {
				t.Errorf("%s?%s, without it: %v, want %v", host, tt.query, got, plain)
			}
			if s.Addr.Options != (sockets.Options{}) || s.Asked.Options != (sockets.Options{}) {
				t.Errorf("options in force are %+v, asked for %+v", s.Addr.Options, s.Asked.Options)
			}
		}
	}
}

func TestConnectionsInheritKeepAlive(t *testing.T) {
	s := listen(t, "127.0.0.1:0?keepalive=9s")
	dial(t, s)
	c := accept(t, s)
	if on, idle := sockopt(t, c.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE), sockopt(t, c.fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); on != 1 || idle != 9 {
		t.Errorf("keep-alive %d, idle %d s, want 1 and 9", on, idle)
	}
}

// A listener with connections in its queue keeps them when the backlog
// changes, in both directions.
func TestApplyChangesTheBacklogUnderWay(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:" + socketPath(t), "unix:@" + abstractName(t)} {
		s := listen(t, text+"?backlog=50")
		var clients []peer
		for range 5 {
			clients = append(clients, dial(t, s))
		}
		for _, backlog := range []int{2, 90} {
			if err := s.Apply(sockets.Options{Backlog: backlog}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "five are queued", func() bool {
				queue, got, err := s.Depth()
				if err != nil || got != backlog {
					t.Fatalf("%s: backlog %d, want %d, %v", text, got, backlog, err)
				}
				return queue == 5
			})
		}
		for _, c := range clients {
			talk(t, c, accept(t, s))
		}
	}
}

// What nobody has asked for stays as systemd has set it; what was asked for
// and is no more goes back to the default.
func TestApplyLeavesAPassedSocketAsItIs(t *testing.T) {
	s := listen(t, "127.0.0.1:0?keepalive=9s&defer-accept=1s&backlog=7")
	adopted := *s
	adopted.Adopted, adopted.Addr.Options = true, sockets.Options{}
	before := tcpOptions(t, s)
	if err := adopted.Apply(sockets.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := tcpOptions(t, s); got != before {
		t.Errorf("%v, want %v", got, before)
	}
	if err := adopted.Apply(sockets.Options{Backlog: 8, KeepAlive: sockets.KeepAliveOff}); err != nil {
		t.Fatal(err)
	}
	if got := tcpOptions(t, s); got[0] != 0 || got[3] != before[3] || got[5] != 8 {
		t.Errorf("%v", got)
	}
}

func TestApplyRefusesWhatOnlyBindTakes(t *testing.T) {
	s := listen(t, "[::]:0")
	for _, o := range []sockets.Options{{V6Only: true}, {FreeBind: true}} {
		if err := s.Apply(o); !errors.Is(err, sockets.ErrNeedsRestart) {
			t.Errorf("%+v: %v, want ErrNeedsRestart", o, err)
		}
	}
}

func TestApplyRefusesTCPOptionsOnUnix(t *testing.T) {
	s := listen(t, "unix:@"+abstractName(t))
	err := s.Apply(sockets.Options{KeepAlive: time.Second})
	if err == nil || !strings.Contains(err.Error(), "do not fit a Unix socket") {
		t.Errorf("got %v", err)
	}
}

func TestSetBlockingClearsTheFlagForAll(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	worker := file(t, s.FD) // shares the open file description
	if err := unix.SetNonblock(s.FD, true); err != nil {
		t.Fatal(err)
	}
	if err := s.SetBlocking(); err != nil {
		t.Fatal(err)
	}
	conn, err := worker.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("flags %#o, %v", flags, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	closed := *s
	closed.FD = -1
	if err := closed.SetBlocking(); !errors.Is(err, unix.EBADF) {
		t.Errorf("on a closed socket: %v", err)
	}
}
