//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The rig itself: a unit of Type=notify that needs nothing of prefork.
func TestMachineRunsNotifyUnit(t *testing.T) {
	before := nspawnFolders(t)
	t.Run("machine", func(t *testing.T) {
		m := BootSystemd(t)
		m.Write(t, "/etc/systemd/system/trivial.service", `[Service]
Type=notify
NotifyAccess=all
ExecStart=sh -c 'systemd-notify --ready --status="all is well"; exec sleep infinity'
`, 0o644)
		m.Must(t, "systemctl", "start", "trivial")
		if status := m.Must(t, "systemctl", "status", "trivial"); !strings.Contains(status, "all is well") {
			t.Errorf("status does not show STATUS=:\n%s", status)
		}
		m.Write(t, "/tmp/inside", "", 0o644)
		if _, err := os.Stat("/tmp/inside"); err == nil {
			t.Error("the machine's /tmp is the host's")
		}
	})
	if after := nspawnFolders(t); len(after) > len(before) {
		t.Errorf("left behind: %q", after)
	}
}

func nspawnFolders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "nspawn-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
