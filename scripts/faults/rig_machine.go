//go:build faults

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Machine is a container in which a full systemd runs as PID 1: its own
// processes, mounts, loopback network and host name, over the host's files as
// a read-only lower layer. What it writes is in memory and gone at its end.
//
// The container's /tmp and /run are its own. A systemd that shared the host's
// would empty them (its tmpfiles rules say "D /tmp"), so nothing here ever
// starts one outside of systemd-nspawn --volatile=overlay.
type Machine struct {
	PID int // of the container's PID 1, as the host sees it

	nspawn *exec.Cmd
	out    *Text // the console
	groups []string
	ended  chan struct{}
}

// BootSystemd boots a machine, or skips the test and says what is missing.
// The end of the test removes it.
func BootSystemd(t testing.TB) *Machine {
	t.Helper()
	needMachine(t)
	began := time.Now()
	dir := tempDir(t)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	notify := NewNotifySocket(t, dir)
	m := &Machine{ended: make(chan struct{})}
	m.makeGroups(t, filepath.Base(dir))
	m.start(t, root, "prefork-"+filepath.Base(dir), notify)
	t.Cleanup(func() { m.remove(t, root) })

	leader, err := notify.awaitValue("X_NSPAWN_LEADER_PID", m.ended)
	if err == nil {
		m.PID, err = strconv.Atoi(leader)
	}
	if err == nil {
		_, err = notify.await(0, "READY=1", m.ended)
	}
	if err != nil {
		m.cannot(t, err)
	}
	t.Logf("systemd is up after %v", time.Since(began).Round(time.Millisecond))
	return m
}

// needMachine skips a test where a machine cannot be had, with the reason.
func needMachine(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to boot a systemd in systemd-nspawn")
	}
	for _, tool := range []string{"systemd-nspawn", "unshare", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing: %s, to boot a systemd (Debian: systemd-container, util-linux, mount)", tool)
		}
	}
	// The probe that tells a container without the right to mount from a fault of ours.
	if out, err := exec.Command("unshare", "--mount", "--propagation", "private",
		"mount", "--bind", "/", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("missing: the right to mount, to boot a systemd: %v: %s", err, bytes.TrimSpace(out))
	}
}

// cannot ends a test whose machine did not boot. PREFORK_TEST_REQUIRE_SYSTEMD=1
// makes that a failure, for a host where it is known to work.
func (m *Machine) cannot(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("PREFORK_TEST_REQUIRE_SYSTEMD") == "1" {
		t.Fatalf("boot systemd: %v\n%s", err, m.out)
	}
	t.Skipf("missing: a kernel or container in which systemd-nspawn boots: %v\n%s", err, m.out)
}

// launch runs in a mount namespace of its own, so that the bind mount of / is
// seen by nobody else and ends with it. $1: root, then cgroups up to "--", then
// the command.
const launch = `set -eu
root=$1; shift
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
mount --bind / "$root"
exec "$@"`

func (m *Machine) start(t testing.TB, root, name string, notify *NotifySocket) {
	t.Helper()
	args := []string{"--mount", "--propagation", "private", "sh", "-c", launch, "sh", root}
	args = append(args, m.groups...)
	args = append(args, "--", "systemd-nspawn", "--quiet", "--directory="+root,
		// The files of the host below, a tmpfs above.
		"--volatile=overlay", "--boot",
		// No systemd of the host is asked for a scope; the group is makeGroups'.
		"--register=no", "--keep-unit",
		"--private-network", "--link-journal=no", "--console=pipe", "--notify-ready=yes",
		"--machine="+name,
		// What is enabled on the host (web servers, timers) is not started.
		"--", "systemd.unit=sysinit.target")
	outR, outW := pipe(t)
	m.nspawn = exec.Command("unshare", args...)
	m.nspawn.Env = append(cleanEnviron(), "NOTIFY_SOCKET="+notify.Path, "SYSTEMD_COLORS=0", "SYSTEMD_LOG_TARGET=console")
	m.nspawn.Stdout, m.nspawn.Stderr = outW, outW
	// A test run that dies takes its machine with it: at TERM systemd-nspawn
	// halts it, while one that is killed leaves it running (both shown).
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	err := startOnLastingThread(m.nspawn)
	_ = outW.Close()
	m.out = collect(outR)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = m.nspawn.Wait() // ended by remove, or by a failure that the boot reports
		close(m.ended)
	}()
}

// makeGroups makes a control group of the machine's own in each hierarchy
// that systemd uses: --keep-unit would else put it into the test's.
func (m *Machine) makeGroups(t testing.TB, name string) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(self)), "\n") {
		f := strings.SplitN(line, ":", 3) // id:controllers:path, cgroups(7)
		for _, mount := range groupMounts(f[1]) {
			group := filepath.Join(mount, f[2], "prefork-"+name)
			if err := os.Mkdir(group, 0o755); err != nil {
				t.Skipf("missing: the right to make a control group, to boot a systemd: %v", err)
			}
			m.groups = append(m.groups, group)
		}
	}
}

// groupMounts gives where a hierarchy of systemd's is mounted, if it is one.
func groupMounts(controllers string) []string {
	switch controllers {
	case "name=systemd":
		return []string{"/sys/fs/cgroup/systemd"}
	case "":
		for _, mount := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
			if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err == nil {
				return []string{mount}
			}
		}
	}
	return nil
}

// remove kills PID 1, and with it every process of the machine
// (pid_namespaces(7)), and checks that nothing is left.
func (m *Machine) remove(t testing.TB, root string) {
	t.Helper()
	if t.Failed() && m.PID != 0 {
		_, journal := m.run("journalctl", "--no-pager", "-n", "200", "-o", "short-precise")
		t.Logf("journal of the machine:\n%s", journal)
	}
	if m.PID != 0 {
		_ = syscall.Kill(m.PID, syscall.SIGKILL) // it is nspawn's child until m.ended
	} else {
		_ = m.nspawn.Process.Kill()
	}
	select {
	case <-m.ended:
	case <-time.After(Patience):
		t.Errorf("systemd-nspawn does not end\n%s", m.out)
		_ = m.nspawn.Process.Kill()
		<-m.ended
	}
	m.out.waitEnd(Patience)
	for _, g := range m.groups {
		Eventually(t, "control group "+g+" is empty", func() bool { return removeGroup(g) == nil })
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), root) {
		t.Errorf("left behind: a mount on %s (%v)", root, err)
	}
	if err := os.Remove(root); err != nil {
		t.Errorf("left behind: %v", err)
	}
}

// removeGroup removes a control group with all below it; only an empty folder
// of one can be removed, and none of its files.
func removeGroup(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(group, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(group)
}

// run runs a command inside, in all namespaces of PID 1.
func (m *Machine) run(command ...string) (code int, output string) {
	// --root: the root of the namespace is not that of PID 1 where the tests
	// themselves run in a chroot.
	args := append([]string{"--target", strconv.Itoa(m.PID), "--all", "--root", "--wd", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}, command...)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.WaitDelay = time.Second // what nsenter forked may hold the pipe; it ends with the machine
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return -1, fmt.Sprintf("no end within %v: %s", Patience, out)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1, err.Error()
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(out)
}

// Run runs a command inside and gives its exit code and output.
func (m *Machine) Run(t testing.TB, command ...string) (code int, output string) {
	t.Helper()
	if code, output = m.run(command...); code == -1 {
		t.Fatalf("%s: %s", strings.Join(command, " "), output)
	}
	return code, output
}

// Must runs a command inside that must exit with 0, and gives its output.
func (m *Machine) Must(t testing.TB, command ...string) string {
	t.Helper()
	code, out := m.Run(t, command...)
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s", strings.Join(command, " "), code, out)
	}
	return out
}

// Write makes a file inside, with the folders above it. A file that exists is
// replaced as a whole, so that a program that runs may be written over.
func (m *Machine) Write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	m.write(t, path, strings.NewReader(text), mode)
}

// Copy copies a file of the host into the machine.
func (m *Machine) Copy(t testing.TB, from, path string, mode os.FileMode) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m.write(t, path, f, mode)
}

func (m *Machine) write(t testing.TB, path string, from io.Reader, mode os.FileMode) {
	t.Helper()
	inside := fmt.Sprintf("/proc/%d/root%s", m.PID, path)
	if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(inside+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Close(), os.Chmod(inside+".new", mode), os.Rename(inside+".new", inside)); err != nil {
		t.Fatal(err)
	}
}
