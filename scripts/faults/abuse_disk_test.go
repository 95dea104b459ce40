//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"prefork/master/control"
)

// smallDisk starts a pool in a mount namespace of its own, whose control
// socket and notify folder are on a file system with room for few files. It
// gives that file system's path as the test sees it.
func smallDisk(t testing.TB, o Options, files int) (p *Pool, disk string) {
	t.Helper()
	needMachine(t) // the right to mount, as there
	dir := tempDir(t)
	o.Flags = append([]string{"--control", filepath.Join(dir, "c.sock")}, o.Flags...)
	o.Wrap = []string{"unshare", "--mount", "--propagation", "private", "sh", "-c",
		fmt.Sprintf(`mount -t tmpfs -o size=64k,nr_inodes=%d,mode=755 tmpfs %s && exec "$@"`, files, dir), "sh"}
	o.NoWait = true
	p = Start(t, o)
	// unshare and sh have become the master, so that its root leads there.
	disk = fmt.Sprintf("/proc/%d/root%s", p.PID, dir)
	p.Control = filepath.Join(disk, "c.sock")
	return p, disk
}

// respawns kills a worker and wants another one in its place, that serves.
func respawns(t testing.TB, p *Pool, addr, when string) {
	t.Helper()
	victim := Ready(p.Status(t))[0]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.settled(t, 2, victim)
	get(t, addr)
	t.Logf("%s: respawned", when)
}

// The disk with the sockets is full, then read-only: the pool serves, its
// workers are replaced, reloads commit; what was left on it is removed later.
func TestFullAndReadOnlyDiskDoNotStopThePool(t *testing.T) {
	p, disk := smallDisk(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named")}, 32)
	p.WaitReady(t)
	addr := p.Addr(t)
	respawns(t, p, addr, "with room")
	full := 0
	for ; ; full++ {
		err := os.WriteFile(filepath.Join(disk, "fill"+strconv.Itoa(full)), nil, 0o600)
		if err != nil {
			break
		}
	}
	if full == 0 {
		t.Fatal("the disk had no room from the start")
	}
	respawns(t, p, addr, "full")
	p.reloadAsked(t)
	respawns(t, p, addr, "full, after a reload")
	for i := range full {
		if err := os.Remove(filepath.Join(disk, "fill"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	respawns(t, p, addr, "with room again")

	dir := strings.TrimPrefix(disk, fmt.Sprintf("/proc/%d/root", p.PID))
	remount := func(how string) {
		t.Helper()
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(p.PID), "-m", "mount", "-o", "remount,"+how, dir).CombinedOutput()
		if err != nil {
			t.Fatalf("remount %s: %v: %s", how, err, out)
		}
	}
	remount("ro")
	respawns(t, p, addr, "read-only")
	p.reloadAsked(t)
	respawns(t, p, addr, "read-only, after a reload")
	remount("rw")
	p.Stop(t)
}

// reloadAsked is Reload over the control socket that the test sees: the command
// line would be given another path than the master's.
func (p *Pool) reloadAsked(t testing.TB) {
	t.Helper()
	a, err := p.ask(control.Request{Command: control.CmdReload})
	if err != nil || !a.OK {
		t.Fatalf("reload: %+v, %v\n%s", a, err, p.Err)
	}
}

// A disk that has no room for the control socket that was asked for ends the
// start, with the path and the reason.
func TestDiskWithoutRoomForTheControlSocketIsNamed(t *testing.T) {
	p, _ := smallDisk(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "named")}, 1)
	if code, sig := p.Wait(t); code != 1 {
		t.Errorf("exit %d (signal %v), want 1", code, sig)
	}
	for _, want := range []string{"control socket", "c.sock", "no space left on device"} {
		if !strings.Contains(p.Err.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// The folder of the notify sockets is removed by somebody who tidies up.
func TestRemovedNotifyFolderIsMadeAnew(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	if err := os.RemoveAll(p.Control + ".notify"); err != nil {
		t.Fatal(err)
	}
	respawns(t, p, addr, "folder removed")
	p.Reload(t)
}

// Too few descriptors for the master: it says which limit, what it is and what
// a worker needs. With some more, some workers fit, and a reload that does not
// leaves the old ones alone.
func TestLowDescriptorLimitIsNamed(t *testing.T) {
	for _, limit := range []int{8, 12, 16, 20, 24, 32, 40} {
		p := Start(t, Options{
			Flags:   []string{"-w", "16", "--ready", "alive:0s", "--settle", "0"},
			Command: []string{"sleep", "1000"}, NoWait: true,
			Wrap: []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit)},
		})
		code, sig := p.Wait(t)
		if code != 1 && code != 3 {
			t.Errorf("%d descriptors: exit %d (signal %v), want 1 or 3", limit, code, sig)
		}
		last := ""
		for line := range strings.Lines(p.Err.String()) {
			last = line
		}
		for _, want := range []string{"too many open files", "RLIMIT_NOFILE", fmt.Sprintf("is %d", limit)} {
			if !strings.Contains(last, want) {
				t.Errorf("%d descriptors: the last line does not say %q: %s", limit, want, last)
			}
		}
	}
}

func TestReloadWithoutDescriptorsKeepsTheOldGeneration(t *testing.T) {
	p := Start(t, Options{
		Flags:   []string{"-w", "4"},
		Command: RoleCommand(t, "named"),
	})
	addr := p.Addr(t)
	old := PIDs(p.settled(t, 4))
	limit := len(FDs(t, p.PID)) + 6
	if code, out := RunCLI(t, "prlimit", "--pid", strconv.Itoa(p.PID), fmt.Sprintf("--nofile=%d:%d", limit, limit)); code != 0 {
		t.Fatal(out)
	}
	code, out := p.CLI(t, "reload")
	if code != 1 || !strings.Contains(out, "too many open files") {
		t.Errorf("reload: exit %d: %s", code, out)
	}
	if got := PIDs(p.settled(t, 4)); fmt.Sprint(got) != fmt.Sprint(old) {
		t.Errorf("workers %v, before %v", got, old)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, _, err := exchange(conn, bufio.NewReader(conn), false); err != nil {
		t.Error(err)
	}
}
