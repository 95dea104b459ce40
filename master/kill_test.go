package master

import (
	"os"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// A process that leads a group may move to another one of its session:
// setpgid(2).
func TestAWorkerThatLeftItsGroupIsKilledAllTheSame(t *testing.T) {
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{}) // in this process' group
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(child.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	m := &master{log: hclog.NewNullLogger()}
	m.kill(&proc{pid: child.Pid, pidfd: fd, gen: &generation{number: 1}})
	end := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(end, 10_000); n != 1 {
		t.Error("it lives")
		_ = child.Kill()
	}
	state, err := child.Wait()
	if err != nil || state.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Errorf("%v, %v: want KILL", state, err)
	}
}
