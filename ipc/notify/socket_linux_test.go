package notify_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/notify"
)

// TestMain lets the test binary be a worker that sends what it is told.
func TestMain(m *testing.M) {
	if text := os.Getenv("NOTIFY_TEST_SEND"); text != "" {
		s, err := notify.Open(os.Getenv("NOTIFY_SOCKET"))
		if err == nil {
			err = s.Send(strings.Split(text, "|")...)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func listen(t *testing.T) *notify.Socket {
	t.Helper()
	l, err := notify.Listen(filepath.Join(t.TempDir(), "7"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func open(t *testing.T, address string) *notify.Sender {
	t.Helper()
	s, err := notify.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func receive(t *testing.T, l *notify.Socket) string {
	t.Helper()
	await(t, l)
	buf := make([]byte, notify.MaxMessage+1)
	n, cred, err := l.Receive(buf)
	if err != nil {
		t.Fatal(err)
	}
	if int(cred.Pid) != os.Getpid() || int(cred.Uid) != os.Getuid() {
		t.Fatalf("credentials %+v, want pid %d", cred, os.Getpid())
	}
	return string(buf[:n])
}

// await waits until a datagram is there.
func await(t *testing.T, l *notify.Socket) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(l.FD), Events: unix.POLLIN}}, 100)
		if n == 1 {
			return
		}
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	t.Fatal("no datagram within 10 s")
}

func openFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestMessageArrivesWithItsSender(t *testing.T) {
	l := listen(t)
	if err := open(t, l.Path).Send("READY=1", notify.Status("up")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, l); got != "READY=1\nSTATUS=up" {
		t.Fatalf("received %q", got)
	}
	if _, _, err := l.Receive(make([]byte, 1)); err != unix.EAGAIN {
		t.Fatalf("an empty queue gives %v, want EAGAIN", err)
	}
}

func TestSenderIsTheProcessThatSent(t *testing.T) {
	l := listen(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+l.Path, "NOTIFY_TEST_SEND=X_PREFORK_WORKER=1|READY=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	await(t, l)
	buf := make([]byte, 100)
	n, cred, err := l.Receive(buf)
	if err != nil || int(cred.Pid) != cmd.Process.Pid {
		t.Fatalf("from pid %d, %v; want %d", cred.Pid, err, cmd.Process.Pid)
	}
	if m, err := notify.Parse(buf[:n]); err != nil || !m.Ready || !m.GoWorker {
		t.Fatalf("Parse = %+v, %v", m, err)
	}
}

func TestSocketTakesEverybodyWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		dir := t.TempDir()
		old := unix.Umask(umask)
		l, err := notify.Listen(filepath.Join(dir, "n"))
		unix.Umask(old)
		if err != nil {
			t.Fatalf("umask %#o: %v", umask, err)
		}
		info, err := os.Lstat(l.Path)
		if err != nil || info.Mode() != os.ModeSocket|0o666 {
			t.Errorf("umask %#o: mode %v, %v", umask, info.Mode(), err)
		}
		flags, err := unix.FcntlInt(uintptr(l.FD), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("no CLOEXEC: %#x, %v", flags, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(l.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("path is there after Close: %v", err)
		}
	}
}

func TestCloseLeavesAPathThatIsNotItsOwn(t *testing.T) {
	l := listen(t)
	if err := os.Remove(l.Path); err != nil {
		t.Fatal(err)
	}
	other, err := notify.Listen(l.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(other.Path); err != nil {
		t.Fatalf("the successor's path: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	l := listen(t)
	s := open(t, l.Path)
	const messages = 5000 // above any net.unix.max_dgram_qlen in use
	sent := 0
	for range messages {
		switch err := s.Send("WATCHDOG=1"); {
		case err == nil:
			sent++
		case !errors.Is(err, notify.ErrDropped):
			t.Fatal(err)
		}
	}
	if sent == 0 || sent == messages || s.Dropped() != uint64(messages-sent) {
		t.Fatalf("%d of %d sent, %d counted as dropped", sent, messages, s.Dropped())
	}
	for range sent {
		receive(t, l)
	}
	if err := s.Send("READY=1"); err != nil {
		t.Fatalf("after the queue was read: %v", err)
	}
}

func TestLongDatagramIsAnError(t *testing.T) {
	l := listen(t)
	s := open(t, l.Path)
	for _, line := range []string{"STATUS=" + strings.Repeat("x", 200), "READY=1"} {
		if err := s.Send(line); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	if _, cred, err := l.Receive(buf); !errors.Is(err, notify.ErrTruncated) || int(cred.Pid) != os.Getpid() {
		t.Fatalf("Receive = %+v, %v; want ErrTruncated and the sender", cred, err)
	}
	if got := receive(t, l); got != "READY=1" {
		t.Fatalf("after the long one comes %q", got)
	}
}

// sendFDs sends descriptors as a hostile worker would.
func sendFDs(t *testing.T, path string, fds ...int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendmsg(fd, []byte("FDSTORE=1"), unix.UnixRights(fds...), &unix.SockaddrUnix{Name: path}, 0); err != nil {
		t.Fatal(err)
	}
}

func TestDescriptorsThatComeAreClosed(t *testing.T) {
	l := listen(t)
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pipe[0]) }()
	before := openFDs(t)
	many := make([]int, 253) // SCM_MAX_FD
	for i := range many {
		many[i] = pipe[1]
	}
	sendFDs(t, l.Path, many...)
	if _, _, err := l.Receive(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if after := openFDs(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
	_ = unix.Close(pipe[1])
	// The last copy is gone: the read end has its end of file.
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pipe[0])}}, 5000); n != 1 {
		t.Fatalf("poll of the read end = %d, %v: a write end is still open", n, err)
	}
}

func TestWorkerThatFloodsWithFilesLosesItsSocket(t *testing.T) {
	l := listen(t)
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	buf := make([]byte, 100)
	for i := range 1000 {
		sendFDs(t, l.Path, int(null.Fd()))
		if _, _, err := l.Receive(buf); errors.Is(err, notify.ErrAbused) {
			t.Logf("refused from message %d on", i)
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("1000 files were taken")
}

func TestBarrierEndsWhenTheMessagesAreRead(t *testing.T) {
	l := listen(t)
	s := open(t, l.Path)
	if err := s.Send("READY=1"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Barrier(10 * time.Second) }()
	if got := receive(t, l); got != "READY=1" {
		t.Fatalf("first comes %q", got)
	}
	if got := receive(t, l); got != "BARRIER=1" {
		t.Fatalf("then comes %q", got)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestBarrierGivesUpAtItsDeadline(t *testing.T) {
	before := openFDs(t)
	l := listen(t)
	err := open(t, l.Path).Barrier(20 * time.Millisecond)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Barrier = %v", err)
	}
	if after := openFDs(t); after != before+2 {
		t.Fatalf("%d descriptors before, %d after; want two sockets more", before, after)
	}
}

func TestSystemdNotifyIsUnderstood(t *testing.T) {
	program, err := exec.LookPath("systemd-notify")
	if err != nil {
		t.Skip("systemd-notify is missing (Debian package systemd)")
	}
	l := listen(t)
	cmd := exec.Command(program, "--ready", "--status=warm")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+l.Path)
	done := make(chan error, 1)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	go func() { done <- cmd.Run() }()
	buf := make([]byte, notify.MaxMessage+1)
	var all notify.Message
	for {
		if n, _, err := l.Receive(buf); err == nil {
			m, err := notify.Parse(buf[:n])
			if err != nil {
				t.Fatal(err)
			}
			all.Ready = all.Ready || m.Ready
			all.Status += m.Status
			continue
		} else if err != unix.EAGAIN {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			// It waits for its barrier: 0 only when every message was read.
			if err != nil || !all.Ready || all.Status != "warm" {
				t.Fatalf("systemd-notify: %v, %s; received %+v", err, out.String(), all)
			}
			return
		default:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(l.FD), Events: unix.POLLIN}}, 20)
		}
	}
}

func TestAbstractAddressWorks(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	name := fmt.Sprintf("@prefork-notify-test-%d", os.Getpid())
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, name).Send("READY=1"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, _, err := unix.Recvfrom(fd, buf, 0); err != nil || string(buf[:n]) != "READY=1" {
		t.Fatalf("received %q, %v", buf[:n], err)
	}
}

func TestSenderToNobodyDoesNothing(t *testing.T) {
	s := open(t, "")
	var none *notify.Sender
	for _, s := range []*notify.Sender{s, none} {
		if err := errors.Join(s.Send("READY=1"), s.Barrier(time.Second), s.Close(), s.Send("READY=1")); err != nil || s.Dropped() != 0 {
			t.Error(err)
		}
	}
}

func TestReceiverThatIsGoneIsAnErrorNotADrop(t *testing.T) {
	l := listen(t)
	s := open(t, l.Path)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send("READY=1"); !errors.Is(err, unix.ENOENT) || s.Dropped() != 0 {
		t.Fatalf("Send = %v, %d dropped", err, s.Dropped())
	}
}

func TestBadAddressesAndLinesAreRefused(t *testing.T) {
	long := "/" + strings.Repeat("d", 107)
	for _, address := range []string{"relative", "@", "vsock:2:1", "/a\x00b", long, "@" + long} {
		if s, err := notify.Open(address); err == nil {
			t.Errorf("Open(%q) = %v, want an error", address, s)
		}
		if _, err := notify.Listen(address); err == nil {
			t.Errorf("Listen(%q) gives no error", address)
		}
	}
	if _, err := notify.Listen(""); err == nil {
		t.Error("Listen(\"\") gives no error")
	}
	s := open(t, "/nowhere/at/all")
	for _, line := range []string{"", "READY", "=1", "A=1\nB=2", "A=\x00", "A=" + strings.Repeat("x", notify.MaxMessage)} {
		if err := s.Send(line); err == nil || errors.Is(err, unix.ENOENT) {
			t.Errorf("Send(%.20q) = %v, want a refusal", line, err)
		}
	}
	if err := s.Send(); err == nil {
		t.Error("Send of nothing gives no error")
	}
}

func TestMonotonicUsecIsTheKernelsClock(t *testing.T) {
	before := notify.MonotonicUsec()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	now, after := uint64(ts.Nano()/1000), notify.MonotonicUsec()
	if before > now || now > after {
		t.Fatalf("%d, %d, %d are not in order", before, now, after)
	}
}
