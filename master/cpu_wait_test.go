package master

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// Four loops on one processor: each gets a quarter of it and waits for the
// rest, which must not look like silence.
func TestWaitingForAProcessorCountsAsUse(t *testing.T) {
	var group int
	for range 4 {
		cmd := exec.Command("taskset", "-c", "0", "sh", "-c", "while :; do :; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		group = cmd.Process.Pid
		defer func() {
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // killed: that is its error
		}()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		var cpu time.Duration
		eachProcess(func(st procStat) {
			if st.group == group {
				cpu += st.cpu
			}
		})
		used := groupsCPU(map[int]pool.ID{group: 1})[group]
		if cpu >= 100*time.Millisecond {
			// Three quarters waited for, a fifth of them counted: 8 for 5.
			if used < cpu+cpu/4 {
				t.Errorf("%v counted, of which %v used: want at least a quarter more", used, cpu)
			}
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the loops do not run")
		}
	}
}
