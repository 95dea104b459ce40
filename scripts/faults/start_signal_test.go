//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// startReading starts a pool that reads its configuration at this moment: the
// file is open for writing. release lets it go on.
func startReading(t *testing.T) (p *Pool, release func()) {
	t.Helper()
	config := filepath.Join(tempDir(t), "pool.toml")
	writer, err := os.Create(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.WriteString("workers = 2\n"); err != nil {
		t.Fatal(err)
	}
	p = Start(t, Options{NoWait: true, Flags: []string{"-c", config}, Command: RoleCommand(t, "named")})
	Eventually(t, "the configuration is being read", func() bool {
		return p.Ended() || slices.Contains(FDs(t, p.PID), config)
	})
	return p, func() {
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The master waits a quarter of a second for the end of somebody's write. This
// machine may be slower than that: then the start says so, and is tried anew.
func tooLate(p *Pool) bool {
	return strings.Contains(p.Err.String(), "is being written by another process")
}

const readingTries = 10

// A signal that comes before there is a pool is one to the pool.
func TestHangUpBeforeThePoolIsThereIsAReload(t *testing.T) {
	for range readingTries {
		p, release := startReading(t)
		p.Signal(t, syscall.SIGHUP)
		release()
		if _, err := p.Notify.await(0, "READY=1", p.ended); err != nil {
			if tooLate(p) {
				continue
			}
			code, sig := p.Wait(t)
			t.Fatalf("exit %d, signal %v, at a HUP while the configuration is read\n%s", code, sig, p.Err)
		}
		p.Err.Wait(t, `"reloaded".*"gen":2`)
		p.Until(t, "generation 2", hasReady(2))
		p.Stop(t)
		return
	}
	t.Error("this machine is too slow to send a signal within a quarter of a second")
}

func TestStopBeforeThePoolIsThereIsACleanEnd(t *testing.T) {
	for _, asked := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		seen := false
		for try := 0; !seen && try < readingTries; try++ {
			p, release := startReading(t)
			p.Signal(t, asked)
			code, sig := p.Wait(t) // without the end of the write
			release()
			if seen = !tooLate(p); seen && (code != 0 || !strings.Contains(p.Err.String(), "stopped by")) {
				t.Errorf("%v while the configuration is read: exit %d, signal %v\n%s", asked, code, sig, p.Err)
			}
		}
		if !seen {
			t.Error("this machine is too slow to send a signal within a quarter of a second")
		}
	}
}
