package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestStopWaitsUntilTheMasterIsGone: the answer alone is not the end.
func TestStopWaitsUntilTheMasterIsGone(t *testing.T) {
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test binary plays the program whose name it is called by.
	pool := filepath.Join(bin, "fakepool")
	if err := os.Symlink(self, pool); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "c.sock")
	cmd := exec.Command(pool, socket)
	cmd.Args[0] = "fakepool"
	leave, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	next := func() string {
		select {
		case line := <-lines:
			return line
		case <-time.After(30 * time.Second):
			t.Fatal("the pool says nothing")
			return ""
		}
	}
	if got := next(); got != "listening" {
		t.Fatalf("%q", got)
	}
	done := make(chan outcome, 1)
	go func() { done <- try(t, nil, "stop", "--control", socket) }()
	if got := next(); got != `got {"command":"stop"}` {
		t.Fatalf("%q", got)
	}
	select {
	case o := <-done:
		t.Fatalf("stop ended before the master: %+v", o)
	default:
	}
	if err := leave.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case o := <-done:
		if o.code != 0 || o.stdout != "stopped\n" || o.stderr != "" {
			t.Errorf("%+v", o)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("stop does not see that the master is gone")
	}
}
