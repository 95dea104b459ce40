//go:build faults

package faults

import (
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"prefork/ipc/store"
)

// A Redis server on a Unix socket is a server like one on a port: what has the
// scheme of a pool's own socket is not taken for that, and two pools share it.
func TestTwoPoolsShareARedisServerOnAUnixSocket(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("missing: redis-server (Debian: redis-server)")
	}
	dir := tempDir(t)
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", dir, "--save", "", "--loglevel", "warning")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOnLastingThread(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	Eventually(t, "redis-server accepts", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	url := "unix://" + socket + "?db=3"
	one, two := startCalled(t, 1, 1, "--store", url), startCalled(t, 1, 1, "--store", url)
	a, b := one.next(t), two.next(t)
	a.must(t, storeCall{Verb: "Set", Key: "session/1", Value: []byte("alice"), Write: store.Write{}})
	if got := b.must(t, storeCall{Verb: "Get", Key: "session/1"}); !got.Found || string(got.Entry.Value) != "alice" {
		t.Errorf("the other pool sees %+v\n%s", got, two.Err)
	}
	held := a.must(t, storeCall{Verb: "Lock", Key: "task"})
	if got := b.must(t, storeCall{Verb: "Lock", Key: "task"}); !held.Found || got.Found {
		t.Errorf("one lock for two pools: %+v, %+v", held, got)
	}
}
