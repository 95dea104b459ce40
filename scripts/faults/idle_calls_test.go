//go:build faults

package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runtimeCalls are what the Go runtime's sysmon does by itself in an idle
// process: it wakes once a minute and looks at how many processors there are
// (runtime/proc.go, sysmon and sysmonUpdateGOMAXPROCS).
var runtimeCalls = map[string]bool{
	"futex": true, "nanosleep": true, "sched_yield": true, "restart_syscall": true, "epoll_pwait": true,
	"sched_getaffinity": true, "pread64": true,
}

// An idle pool costs nothing: the master makes next to no system call.
func TestIdleMasterMakesNoCalls(t *testing.T) {
	needPrograms(t, "strace")
	window, most := 6*time.Second, 3
	if Full() {
		window, most = 130*time.Second, 12
	}
	sock := filepath.Join(tempDir(t), "web.sock")
	p := Start(t, Options{Flags: []string{"-w", "4"}, Listen: []string{"unix:" + sock}, Command: RoleCommand(t, "named")})
	if _, err := askUnix(sock); err != nil {
		t.Fatal(err)
	}
	if Full() {
		// A request of the control socket has a deadline of 5 s; the runtime
		// drops a stopped timer when its time has come. The gate asks nothing.
		p.settled(t, 4)
		calm := time.NewTimer(6 * time.Second)
		<-calm.C
	}
	file := filepath.Join(tempDir(t), "calls")
	strace := exec.Command("strace", "-f", "-ttt", "-o", file, "-p", strconv.Itoa(p.PID))
	errR, errW := pipe(t)
	strace.Stderr = errW
	err := startOnLastingThread(strace)
	_ = errW.Close()
	said := collect(errR)
	if err != nil {
		t.Fatal(err)
	}
	said.Wait(t, "attached")
	began := time.Now()
	end := time.NewTimer(window + 1500*time.Millisecond)
	<-end.C // the idle time is what is measured
	if err := strace.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = strace.Wait() // 130: the INT
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Attaching interrupts what waits: calls of the first second are its.
	from := float64(began.UnixNano())/1e9 + 1
	call := regexp.MustCompile(`^\d+ +(\d+\.\d+) (\w+)\(`)
	var calls, foreign []string
	for line := range strings.SplitSeq(string(text), "\n") {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if at, err := strconv.ParseFloat(m[1], 64); err != nil || at < from || at > from+window.Seconds() {
			continue
		}
		calls = append(calls, line)
		if !runtimeCalls[m[2]] {
			foreign = append(foreign, line)
		}
	}
	Figure(t, "idle-calls", "%d system calls of the master in %v of idleness", len(calls), window)
	if len(calls) > most || len(foreign) > 0 {
		t.Errorf("%d system calls, want at most %d, and none that is not the runtime's (%d):\n%s", len(calls), most, len(foreign), strings.Join(calls, "\n"))
	}
}
