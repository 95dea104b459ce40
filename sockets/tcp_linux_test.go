package sockets_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

func TestListenMakesThePlainestSocket(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0", "localhost:0", "unix:" + socketPath(t), "unix:@" + abstractName(t)} {
		s := listen(t, text)
		if flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: not close-on-exec, %v", text, err)
		}
		if flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("%s: not blocking, %v", text, err)
		}
		if sockopt(t, s.FD, unix.SOL_SOCKET, unix.SO_REUSEPORT) != 0 {
			t.Errorf("%s: SO_REUSEPORT is set", text)
		}
		if s.Addr.Network != sockets.NetworkTCP {
			continue
		}
		if got := sockopt(t, s.FD, unix.SOL_SOCKET, unix.SO_PROTOCOL); got != unix.IPPROTO_TCP {
			t.Errorf("%s: protocol %d, want IPPROTO_TCP", text, got)
		}
		if sockopt(t, s.FD, unix.SOL_SOCKET, unix.SO_REUSEADDR) != 1 {
			t.Errorf("%s: SO_REUSEADDR is not set", text)
		}
		if s.Addr.Port == "0" || s.Asked.Port != "0" {
			t.Errorf("%s: port %s, asked for %s", text, s.Addr.Port, s.Asked.Port)
		}
		if got, want := s.Asked.Key(), mustParse(t, text).Key(); got != want {
			t.Errorf("%s: asked for %s, want %s", text, got, want)
		}
	}
}

func TestListenOnAllAddressesTakesBothFamilies(t *testing.T) {
	for _, tt := range []struct {
		text string
		v4   bool
	}{{":0", true}, {"[::]:0", true}, {":0?v6only", false}, {"[::]:0?v6only", false}} {
		s := listen(t, tt.text)
		talk(t, dial(t, s), accept(t, s))
		port := sockaddr(t, s).(*unix.SockaddrInet6).Port
		c := newClient(t, &unix.SockaddrInet4{})
		err := unix.Connect(c.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		if err == unix.EINPROGRESS {
			ready(t, c.fd, unix.POLLOUT, patience)
			err = c.pendingError()
		}
		if taken := err == nil; taken != tt.v4 {
			t.Errorf("%s: connect by IPv4: %v, want it taken: %t", tt.text, err, tt.v4)
		}
	}
}

func TestAddressInUseIsErrInUse(t *testing.T) {
	tcp := listen(t, "127.0.0.1:0")
	abstract := listen(t, "unix:@"+abstractName(t))
	for _, text := range []string{tcp.Addr.Bound(), "0.0.0.0:" + tcp.Addr.Port, ":" + tcp.Addr.Port, abstract.Addr.Bound()} {
		_, err := sockets.Listen(mustParse(t, text))
		if !errors.Is(err, sockets.ErrInUse) || !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%s: %v, want ErrInUse and EADDRINUSE", text, err)
		}
	}
}

// What Overlaps says is what bind(2) does.
func TestOverlapsAgreesWithTheKernel(t *testing.T) {
	hosts := []string{"127.0.0.1:%s", "127.0.0.2:%s", "0.0.0.0:%s", "[::1]:%s", "[::]:%s", "[::]:%s?v6only", ":%s", ":%s?v6only", "localhost:%s"}
	for _, first := range hosts {
		for _, second := range hosts {
			s, err := sockets.Listen(mustParse(t, fmt.Sprintf(first, "0")))
			if err != nil {
				t.Fatal(err)
			}
			a := mustParse(t, fmt.Sprintf(first, s.Addr.Port))
			b := mustParse(t, fmt.Sprintf(second, s.Addr.Port))
			other, err := sockets.Listen(b)
			switch {
			case err == nil:
				if a.Overlaps(b) && second != "localhost:%s" && first != "localhost:%s" {
					t.Errorf("%s and %s overlap, and both were bound", a, b)
				}
				if err := other.Close(); err != nil {
					t.Error(err)
				}
			case !errors.Is(err, sockets.ErrInUse):
				t.Error(err)
			case !a.Overlaps(b):
				// A port that is free for one family may be taken in the
				// other by another process: bind once more to know.
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if again, err := sockets.Listen(b); err == nil {
					_ = again.Close()
					t.Errorf("%s and %s do not overlap, and the second was refused", a, b)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFreeBindTakesAnAddressThatIsNotHere(t *testing.T) {
	listen(t, "192.0.2.1:0?freebind")
	listen(t, "[2001:db8::1]:0?freebind")
}

// Without privileges an error says in one line what is missing.
var rolePrivileged = role("privileged", func() {
	for _, text := range []string{"127.0.0.1:1", "unix:/sockets-test", "unix:" + os.Getenv("SOCKETS_TEST_PATH") + "?user=0"} {
		a, err := sockets.Parse(text)
		if err == nil {
			_, err = sockets.Listen(a)
		}
		fmt.Println(err)
	}
})

func TestErrorsWithoutPrivilegesSayWhatIsMissing(t *testing.T) {
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(b)) != "1024" {
		t.Skipf("privileged ports are missing: net.ipv4.ip_unprivileged_port_start is %q, %v", b, err)
	}
	path := socketPath(t)
	if err := os.Chmod(path[:len(path)-2], 0o777); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(play(t, rolePrivileged, true, nil, "SOCKETS_TEST_PATH="+path)), "\n")
	want := []string{
		"listen 127.0.0.1:1: port 1 needs root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start: bind: permission denied",
		"listen unix:/sockets-test: open /sockets-test.lock: permission denied",
		"listen unix:" + path + "?user=0: giving the path to another user or group needs root or CAP_CHOWN: fchownat: operation not permitted",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("\n got %s\nwant %s", got[i], want[i])
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("a failed Listen has left its path: %v", err)
	}
}
