package master

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

func TestStatIsReadBehindANameThatLies(t *testing.T) {
	line := "4711 (evil) R 1 99 ) x) S 12 345 345 0 -1 4194304 100 0 0 0 7 3 5 1 20 0 1 0 100 1000 10"
	st, ok := parseStat([]byte(line))
	if !ok {
		t.Fatal("not read")
	}
	if st.pid != 4711 || st.group != 345 || st.cpu != 16*clockTick || st.comm != "evil) R 1 99 ) x" {
		t.Errorf("got %+v", st)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1 1 1"))
	f.Add([]byte("1 ()"))
	f.Add([]byte(")("))
	f.Fuzz(func(_ *testing.T, data []byte) { parseStat(data) })
}

func TestAGroupsCPUTimeHoldsItsGrandchildren(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'while :; do :; done' & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group := cmd.Process.Pid
	defer func() {
		if err := syscall.Kill(-group, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed: that is its error
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if used := groupsCPU(map[int]pool.ID{group: 1})[group]; used >= 50*time.Millisecond {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the loop of a grandchild is not counted")
		}
	}
	if left := groupMembers(group); len(left) != 1 || !strings.HasPrefix(left[0], "sh (") {
		t.Errorf("members behind the leader: %q, want one sh", left)
	}
	if left := groupMembers(os.Getpid() * 7919); len(left) != 0 {
		t.Errorf("members of a group that is not there: %q", left)
	}
}
