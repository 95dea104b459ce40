//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a kernel has is tried, and not concluded from its version: with a
// close_range that knows no CLOSE_RANGE_CLOEXEC (Linux 5.9 and 5.10,
// close_range(2)), or none at all, a worker has the same descriptors.
func TestOlderKernelIsTriedNotGuessed(t *testing.T) {
	needPrograms(t, "strace")
	plain := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web")})
	get(t, plain.Addr(t))
	want := restingFDs(t, plain.Status(t).Workers[0].PID)
	plain.Stop(t)
	for _, errno := range []string{"EINVAL", "ENOSYS"} {
		t.Run(errno, func(t *testing.T) {
			trace := filepath.Join(t.TempDir(), "trace")
			p := Start(t, Options{
				Flags: []string{"-w", "1"}, Command: RoleCommand(t, "web"),
				Wrap: []string{"strace", "-f", "-D", "-o", trace, "-e", "trace=close_range", "-e", "inject=close_range:error=" + errno},
			})
			get(t, p.Addr(t))
			if n := restingFDs(t, p.Status(t).Workers[0].PID); n != want {
				t.Errorf("the worker has %d descriptors, %d where close_range works", n, want)
			}
			p.Reload(t)
			p.Stop(t)
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), errno) {
				t.Error("close_range was not called: nothing was shown")
			}
		})
	}
}

// restingFDs counts the descriptors of a worker that has been asked once: as
// many as in ten looks one after the other, since what it closes goes a moment
// after its client has the answer.
func restingFDs(t testing.TB, pid int) int {
	t.Helper()
	n, same := -1, 0
	Eventually(t, fmt.Sprintf("process %d at rest", pid), func() bool {
		now := len(FDs(t, pid))
		if now != n {
			n, same = now, 0
		}
		same++
		return same == 10
	})
	return n
}
