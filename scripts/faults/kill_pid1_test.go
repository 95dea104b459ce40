//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// children gives the processes whose parent is pid.
func children(pid int) []int {
	// A tree of threads has the children of each; the master forks on its first.
	var all []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // none: it is gone
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// innerPID is the pid of a process in the innermost of its pid namespaces.
func innerPID(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`NSpid:.*\s(\d+)\n`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no NSpid in %s", text)
	}
	inner, _ := strconv.Atoi(string(m[1])) // digits
	return inner
}

// needNamespaces skips where the test may not make a pid namespace.
func needNamespaces(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("unshare", "-pf", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("missing: the right to make a pid namespace (unshare): %v: %s", err, out)
	}
}

// startAsInit runs a pool as PID 1 of a pid namespace of its own, after a
// line of shell in it. The rig's process is unshare; master is the pool's.
func startAsInit(t testing.TB, before string, o Options) (p *Pool, master int) {
	t.Helper()
	needNamespaces(t)
	o.Wrap = []string{"unshare", "-pf", "--mount-proc", "--kill-child", "sh", "-c", before + `exec "$@"`, "sh"}
	p = Start(t, o)
	kids := children(p.PID)
	if len(kids) != 1 || innerPID(t, kids[0]) != 1 {
		t.Fatalf("%v below unshare: want PID 1 alone", kids)
	}
	return p, kids[0]
}

// inside runs a shell line in the namespaces of a pool that is PID 1.
func inside(t testing.TB, master int, line string) string {
	t.Helper()
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(master), "-p", "-m", "sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// As PID 1 of a container: orphans of others are reaped and not mistaken for
// workers, workers' ends are told as they were, TERM stops.
func TestPoolAsPID1ReapsOrphans(t *testing.T) {
	p, master := startAsInit(t, "", Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	orphans := Count(t, 10_000)
	// In "(true &)" the subshell ends before its child: PID 1 inherits that.
	inside(t, master, fmt.Sprintf("i=0; while [ $i -lt %d ]; do (true &); i=$((i+1)); done", orphans))
	for _, w := range children(master) {
		if processState(w) != "Z" && slices.Contains(p.Processes(), w) {
			if err := syscall.Kill(w, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.wantDeaths(t, 2)
	if n := strings.Count(p.Err.String(), `"signal":"KILL"`); n != 2 {
		t.Errorf("%d of 2 ends are told as kills", n)
	}
	p.settled(t, 2)
	get(t, addr)
	// The last orphans may still be at their work.
	Eventually(t, "two workers and no zombie", func() bool { return zombies(master) == 0 && len(children(master)) == 2 },
		func() string { return fmt.Sprintf("children %v of PID 1", children(master)) })
	Figure(t, "pid1-orphans", "%d orphans reaped, 2 of 2 workers respawned", orphans)
	if err := syscall.Kill(master, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, sig := p.Wait(t); code != 0 {
		t.Errorf("stop of PID 1: exit %d (signal %v)", code, sig)
	}
}

// Pids are used again within a moment, while workers die and are replaced:
// no stranger is ever signalled.
func TestReusedPIDsAreNeverSignalled(t *testing.T) {
	const few = "echo 400 >/proc/sys/kernel/pid_max && "
	needNamespaces(t)
	if out, err := exec.Command("unshare", "-pf", "--mount-proc", "sh", "-c", few+"(sleep 0 & wait) && cat /proc/sys/kernel/pid_max").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "400" {
		t.Skipf("missing: a pid_max of the namespace's own (Linux 6.14): %v: %s", err, out)
	}
	if own, err := os.ReadFile("/proc/sys/kernel/pid_max"); err != nil || strings.TrimSpace(string(own)) == "400" {
		t.Fatalf("pid_max of the test's own namespace is %s (%v)", own, err)
	}
	p, master := startAsInit(t, few, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	rounds := Count(t, 100)
	strangers := 0
	for i := range rounds {
		p.wantDeaths(t, 4*i) // the pids alone do not tell: they come again
		ready := p.settled(t, 4)
		// Strangers take every pid once while the workers die; each must end
		// by itself, with the status it chose.
		done := make(chan string, 1)
		go func() {
			out, err := exec.Command("nsenter", "-t", strconv.Itoa(master), "-p", "-m", "sh", "-c",
				`i=0; while [ $i -lt 400 ]; do (exit 3); c=$?; [ $c = 3 ] || echo "ended with $c"; i=$((i+1)); done`).CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			done <- string(out)
		}()
		for _, w := range ready {
			inside(t, master, fmt.Sprintf("kill -KILL %d", w.PID))
		}
		if out := <-done; out != "" {
			t.Fatalf("strangers: %s", out)
		}
		strangers += 400
	}
	p.wantDeaths(t, 4*rounds)
	p.settled(t, 4)
	Figure(t, "pid-reuse", "%d workers killed among %d strangers in 400 pids: no stranger was hit", 4*rounds, strangers)
	if err := syscall.Kill(master, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, sig := p.Wait(t); code != 0 {
		t.Errorf("stop: exit %d (signal %v)", code, sig)
	}
}
