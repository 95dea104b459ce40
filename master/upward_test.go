package master

import (
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc/notify"
)

// systemd reads nothing while it reloads its units, for seconds on a large
// machine; a pool that starts says something new with each worker meanwhile.
func TestReadinessIsNotPushedOutByNews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	systemd, err := notify.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = systemd.Close() }()
	sender, err := notify.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Close() }()
	u := upward{sender: sender}
	for len(u.unsent) == 0 { // until its queue is full
		u.send("STATUS=before")
	}
	u.ready()
	for i := range 100 {
		u.send("EXTEND_TIMEOUT_USEC=1")
		u.send(notify.Status(strconv.Itoa(i)))
		u.send("WATCHDOG=1")
	}
	var ready bool
	var last string
	for {
		buf := make([]byte, notify.MaxMessage)
		n, _, err := systemd.Receive(buf)
		if err == unix.EAGAIN {
			if len(u.unsent) == 0 {
				break
			}
			u.flush()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := notify.Parse(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		ready = ready || m.Ready
		if m.HasStatus {
			last = m.Status
		}
	}
	if !ready || last != "99" {
		t.Errorf("ready %t, last status %q: want readiness, and the newest status", ready, last)
	}
}
