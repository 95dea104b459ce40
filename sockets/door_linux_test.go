package sockets_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// The heart of a stop that loses nothing: whoever is established, queued or
// half-way through the handshake gets in; a new SYN is neither answered nor
// refused; and with the door open again that SYN, sent anew, gets in too.
func TestDoorLetsInWhoHasKnocked(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := listen(t, text)
			established := dial(t, s)
			established.connected()
			server := accept(t, s)
			queued := dial(t, s)
			queued.connected()
			halfOpen := dialDeaf(t, s)
			eventually(t, "the handshake is under way", func() bool {
				under, err := s.SynRecv()
				if err != nil {
					t.Fatal(err)
				}
				return under
			})

			if err := s.CloseDoor(); err != nil {
				t.Fatal(err)
			}
			if err := s.CloseDoor(); err != nil {
				t.Fatalf("once more: %v", err)
			}
			late := dial(t, s)
			late.leftWaiting()
			talk(t, established, server)
			talk(t, queued, accept(t, s))
			halfOpen.hear() // the listener repeats its SYN-ACK after a second
			halfOpen.connected()
			talk(t, halfOpen, accept(t, s))
			eventually(t, "no handshake is under way", func() bool {
				under, err := s.SynRecv()
				if err != nil {
					t.Fatal(err)
				}
				return !under
			})
			late.leftWaiting()

			if err := s.OpenDoor(); err != nil {
				t.Fatal(err)
			}
			fresh := dial(t, s)
			fresh.connected()
			late.connected() // its next SYN comes within seconds
			if err := s.OpenDoor(); err != nil {
				t.Fatalf("open an open door: %v", err)
			}
		})
	}
}

// Of all 256 combinations of flags the filter drops those of a new client. A
// datagram socket shows it what a TCP socket would: bytes from the header on.
func TestDoorFilterDropsSYNOnly(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) }()
	prog := unix.SockFprog{Len: uint16(len(sockets.SynFilter)), Filter: &sockets.SynFilter[0]}
	if err := unix.SetsockoptSockFprog(pair[1], unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		t.Fatal(err)
	}
	const syn, ack = 0x02, 0x10
	for flags := range 256 {
		header := make([]byte, 20)
		header[13] = byte(flags)
		if _, err := unix.Write(pair[0], header); err != nil && err != unix.EPERM { // EPERM: dropped
			t.Fatal(err)
		}
		n, err := unix.Read(pair[1], make([]byte, 64))
		passes := err == nil && n == len(header)
		if want := flags&(syn|ack) != syn; passes != want {
			t.Errorf("flags %#02x pass: %t, want %t (%d bytes, %v)", flags, passes, want, n, err)
		}
	}
}

// The filter is the reason for IPPROTO_TCP: what net.Listen makes refuses it.
func TestDoorOfAnMPTCPSocketCannotClose(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		t.Skipf("MPTCP is missing from this kernel (CONFIG_MPTCP, net.mptcp.enabled): %v", err)
	}
	s := &sockets.Socket{FD: fd, Addr: mustParse(t, "127.0.0.1:0")}
	defer func() { _ = s.Close() }()
	if err := s.CloseDoor(); err == nil {
		t.Error("an MPTCP socket takes a filter: then Listen need not ask for plain TCP")
	}
	if err := s.OpenDoor(); err != nil {
		t.Errorf("a passed MPTCP socket is fine as it is: %v", err)
	}
}

func TestDoorOfAPassedSocketStaysOpen(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:" + socketPath(t), "unix:@" + abstractName(t)} {
		s := listen(t, text)
		adopted := *s
		adopted.Adopted = true
		if err := adopted.CloseDoor(); err != nil {
			t.Fatal(err)
		}
		if err := adopted.Shutdown(); err != nil {
			t.Fatal(err)
		}
		dial(t, s).connected()
		accept(t, s)
	}
}

func TestDoorOfAPathClosesByUnlinking(t *testing.T) {
	path := socketPath(t)
	s := listen(t, "unix:"+path)
	queued := dial(t, s)
	sa := sockaddr(t, s)
	if err := s.CloseDoor(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryDial(t, sa); err != unix.ENOENT {
		t.Errorf("connect: %v, want ENOENT", err)
	}
	talk(t, queued, accept(t, s))

	next := listen(t, "unix:"+path)
	if err := s.CloseDoor(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dial(t, next)
	accept(t, next)
	if err := s.OpenDoor(); err == nil {
		t.Error("a door whose path is gone opens")
	}
}

// Someone else's file at our path is not ours to remove.
func TestUnlinkLeavesAnotherInode(t *testing.T) {
	for _, end := range []struct {
		name string
		by   func(*sockets.Socket) error
	}{{"CloseDoor", (*sockets.Socket).CloseDoor}, {"Close", (*sockets.Socket).Close}} {
		t.Run(end.name, func(t *testing.T) {
			path := socketPath(t)
			s := listen(t, "unix:"+path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := end.by(s); err != nil {
				t.Errorf("without a file: %v", err)
			}
			s = listen(t, "unix:"+path)
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := end.by(s); err != nil {
				t.Errorf("with another file: %v", err)
			}
			if b, err := os.ReadFile(path); string(b) != "theirs" {
				t.Errorf("the other file: %q, %v", b, err)
			}
		})
	}
}

func TestCloseUnlinksOnce(t *testing.T) {
	path := socketPath(t)
	s := listen(t, "unix:"+path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("lstat: %v, want none", err)
	}
	if s.FD != -1 {
		t.Errorf("FD is %d after Close", s.FD)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if err := s.CloseDoor(); err != nil {
		t.Errorf("CloseDoor after Close: %v", err)
	}
}

// An abstract address has no path: it is shut down together with the stop
// signal, and who is queued still gets in.
func TestShutdownOfAnAbstractAddress(t *testing.T) {
	s := listen(t, "unix:@"+abstractName(t))
	if err := s.CloseDoor(); err != nil {
		t.Fatal(err)
	}
	queued := dial(t, s)
	sa := sockaddr(t, s)
	if err := s.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryDial(t, sa); err != unix.ECONNREFUSED {
		t.Errorf("connect: %v, want ECONNREFUSED", err)
	}
	if q, err := s.Queued(); !q || err != nil {
		t.Errorf("Queued() = %t, %v with a connection in the queue", q, err)
	}
	talk(t, queued, accept(t, s))
	if q, err := s.Queued(); q || err != nil {
		t.Errorf("Queued() = %t, %v with an empty queue", q, err)
	}
}

func TestShutdownLeavesTheOthersAlone(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:" + socketPath(t)} {
		s := listen(t, text)
		if err := s.Shutdown(); err != nil {
			t.Fatal(err)
		}
		dial(t, s).connected()
	}
}

// A path that is unlinked is bound anew by a plan; a filtered TCP socket is
// kept.
func TestPlanAfterTheDoorWasClosed(t *testing.T) {
	path := socketPath(t)
	open := []*sockets.Socket{listen(t, "unix:"+path), listen(t, "127.0.0.1:0"), listen(t, "unix:@"+abstractName(t))}
	var want []sockets.Addr
	for _, s := range open {
		if err := s.CloseDoor(); err != nil {
			t.Fatal(err)
		}
		want = append(want, s.Asked)
	}
	c, err := sockets.Plan(open, want)
	if err != nil {
		t.Fatal(err)
	}
	if c.Set[0].Open != nil || c.Set[1].Open != open[1] || c.Set[2].Open != open[2] || len(c.Remove) != 1 {
		t.Errorf("plan: %s", planText(c))
	}
	if err := open[2].Shutdown(); err != nil {
		t.Fatal(err)
	}
	if _, err := sockets.Plan(open, want); err == nil || !strings.Contains(err.Error(), "needs a restart") {
		t.Errorf("abstract address that is shut down but open: %v", err)
	}
}

// A role for TestDoorWithoutTheRightToAFilterIsLeftAjar.
var ajarRole = role("ajar", func() {
	a, err := sockets.Parse("127.0.0.1:0?backlog=64")
	if err != nil {
		panic(err)
	}
	s, err := sockets.Listen(a)
	if err != nil {
		panic(err)
	}
	err = s.CloseDoor()
	fmt.Println(errors.Is(err, sockets.ErrAjar), err)
	if !errors.Is(err, sockets.ErrAjar) {
		return // this kernel gives the filter to everybody
	}
	first, err := net.Dial("tcp", s.Addr.Bound())
	if err != nil {
		panic(err)
	}
	_, err = net.DialTimeout("tcp", s.Addr.Bound(), 300*time.Millisecond)
	var late net.Error
	fmt.Println("second:", errors.As(err, &late) && late.Timeout())
	if err := s.OpenDoor(); err != nil {
		panic(err)
	}
	_, backlog, err := s.Depth()
	fmt.Println("backlog:", backlog, err)
	second, err := net.DialTimeout("tcp", s.Addr.Bound(), 10*time.Second)
	fmt.Println("third:", err)
	_, _ = first.Close(), second.Close()
})

func TestDoorWithoutTheRightToAFilterIsLeftAjar(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run a process as somebody else")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ajar")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	program := filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, self, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleEnv+"="+ajarRole)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	switch {
	case strings.HasPrefix(text, "false <nil>"): // closed: the kernel is older
	case strings.HasPrefix(text, "true "):
		for _, want := range []string{"second: true", "backlog: 64 <nil>", "third: <nil>"} {
			if !strings.Contains(text, want) {
				t.Errorf("want %q in:\n%s", want, text)
			}
		}
	default:
		t.Errorf("got %s", text)
	}
}
