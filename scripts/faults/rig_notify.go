//go:build faults

package faults

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Notification is one datagram as systemd would get it: sd_notify(3).
type Notification struct {
	At   time.Time
	PID  int    // of the sender, from the kernel
	UID  uint32 // of the sender, from the kernel
	Text string // all of it
	FDs  int    // descriptors that came with it; the rig closes them
}

// Has reports whether the datagram holds the assignment as a line: "READY=1".
func (n Notification) Has(assignment string) bool {
	return slices.Contains(strings.Split(n.Text, "\n"), assignment)
}

// Value gives what the datagram assigns to a name, "" for nothing.
func (n Notification) Value(name string) string {
	for line := range strings.SplitSeq(n.Text, "\n") {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}

// NotifySocket stands in for systemd's: a datagram socket whose senders are
// named by the kernel (SO_PASSCRED), and a record of all that came.
type NotifySocket struct {
	Path string

	conn *net.UnixConn
	mu   sync.Mutex
	got  []Notification
	more chan struct{} // closed and renewed at each datagram
	done chan struct{} // closed when the reader has ended
}

// NewNotifySocket opens the socket in a folder; the test's end closes it.
func NewNotifySocket(t testing.TB, dir string) *NotifySocket {
	t.Helper()
	path := filepath.Join(dir, "systemd.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	})
	if err := errors.Join(err, serr); err != nil {
		t.Fatal(err)
	}
	n := &NotifySocket{Path: path, conn: conn, more: make(chan struct{}), done: make(chan struct{})}
	go n.read()
	t.Cleanup(func() {
		_ = conn.Close()
		<-n.done
	})
	return n
}

func (n *NotifySocket) read() {
	defer close(n.done)
	buf, oob := make([]byte, 64<<10), make([]byte, 4<<10)
	for {
		k, ok, _, _, err := n.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return // closed by the cleanup
		}
		m := Notification{At: time.Now(), Text: strings.TrimRight(string(buf[:k]), "\n")}
		messages, err := unix.ParseSocketControlMessage(oob[:ok])
		if err != nil {
			m.Text += fmt.Sprintf("\nRIG_ERROR=%v", err)
		}
		for _, c := range messages {
			if cred, err := unix.ParseUnixCredentials(&c); err == nil {
				m.PID, m.UID = int(cred.Pid), cred.Uid
			}
			if fds, err := unix.ParseUnixRights(&c); err == nil {
				m.FDs += len(fds)
				for _, fd := range fds {
					_ = unix.Close(fd)
				}
			}
		}
		n.mu.Lock()
		n.got = append(n.got, m)
		close(n.more)
		n.more = make(chan struct{})
		n.mu.Unlock()
	}
}

// All gives every datagram so far, in the order of arrival.
func (n *NotifySocket) All() []Notification {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

// Mark is the count so far, for WaitAfter.
func (n *NotifySocket) Mark() int { return len(n.All()) }

// Wait waits for a datagram with the assignment as a line.
func (n *NotifySocket) Wait(t testing.TB, assignment string) Notification {
	t.Helper()
	return n.WaitAfter(t, 0, assignment)
}

// WaitAfter is Wait for what came after a mark.
func (n *NotifySocket) WaitAfter(t testing.TB, mark int, assignment string) Notification {
	t.Helper()
	m, err := n.await(mark, assignment, nil)
	if err != nil {
		t.Fatalf("%v; got %q", err, n.texts())
	}
	return m
}

var errEnded = errors.New("the process ended first")

// await waits for a datagram after a mark, no longer than until ended is closed.
func (n *NotifySocket) await(mark int, assignment string, ended <-chan struct{}) (Notification, error) {
	return n.awaitThat(mark, assignment, ended, func(m Notification) bool { return m.Has(assignment) })
}

// awaitValue waits for a datagram that assigns to a name, and gives the value.
func (n *NotifySocket) awaitValue(name string, ended <-chan struct{}) (string, error) {
	m, err := n.awaitThat(0, name, ended, func(m Notification) bool { return m.Value(name) != "" })
	return m.Value(name), err
}

func (n *NotifySocket) awaitThat(mark int, what string, ended <-chan struct{}, holds func(Notification) bool) (Notification, error) {
	late := time.NewTimer(Patience)
	defer late.Stop()
	for {
		n.mu.Lock()
		got, more := n.got, n.more
		n.mu.Unlock()
		if i := slices.IndexFunc(got[min(mark, len(got)):], holds); i >= 0 {
			return got[mark+i], nil
		}
		select {
		case <-more:
		case <-ended:
			return Notification{}, fmt.Errorf("wait for %s: %w", what, errEnded)
		case <-late.C:
			return Notification{}, fmt.Errorf("no %s within %v", what, Patience)
		}
	}
}

func (n *NotifySocket) texts() []string {
	var all []string
	for _, m := range n.All() {
		all = append(all, m.Text)
	}
	return all
}
