//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/notify"
	"prefork/master/control"
)

// The role "stays-stopping PATH" is ready at once, says that it leaves as soon
// as PATH exists, and does not leave.
var _ = Role("stays-stopping", func(args []string) {
	sender, err := notify.Open(os.Getenv("NOTIFY_SOCKET"))
	if err == nil {
		err = sender.Send("READY=1")
	}
	tick := time.NewTicker(5 * time.Millisecond)
	for err == nil {
		if _, missing := os.Stat(args[0]); missing == nil {
			err = sender.Send("STOPPING=1")
			break
		}
		<-tick.C
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stays-stopping:", err)
		os.Exit(1)
	}
	<-make(chan struct{})
})

// Workers that say again and again that they leave, and stay, do not fill the
// machine: of each slot four are replaced at once, and for each one more the
// pause doubles. Status says why.
func TestWorkersThatOnlySayThatTheyLeaveAreBounded(t *testing.T) {
	path := filepath.Join(tempDir(t), "leave")
	p := Start(t, Options{Flags: []string{"-w", "1", "--settle", "0s", "--drain-timeout", "60s"}, Command: RoleCommand(t, "stays-stopping", path)})
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := p.Until(t, "the ninth worker", func(s control.Status) bool { return len(s.Workers) == 9 })
	// 400, 800 and 1,600 ms lie between the sixth and the ninth.
	if took := s.Workers[8].Since.Sub(s.Workers[5].Since); took < 1400*time.Millisecond {
		t.Errorf("three more workers within %v", took)
	}
	s = p.Until(t, "an empty slot", func(s control.Status) bool { return len(s.Empty) == 1 })
	if why := s.Empty[0].Why; why != "9 of its workers have said STOPPING and are still there" {
		t.Errorf("the slot is empty since %q", why)
	}
	p.Signal(t, syscall.SIGQUIT) // who has said STOPPING is not told to stop
	if code, sig := p.Wait(t); code != 0 {
		t.Errorf("quit: exit %d, signal %v", code, sig)
	}
}
