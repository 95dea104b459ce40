//go:build faults

package faults

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A reload waits for what it reads: here for the end of somebody's write, with
// users and groups of another machine for longer. Meanwhile the pool is looked
// after: a worker that dies is seen before the reload has its verdict.
func TestPoolIsLookedAfterWhileAReloadReads(t *testing.T) {
	p := Start(t, Options{Config: "workers = 2\n", Command: RoleCommand(t, "named")})
	const tries = 20 // the wait is a quarter of a second, and this machine may be slow
	for try := range tries {
		dies := p.Until(t, "two workers", hasReady(2)).Workers[0].PID
		mark := p.Err.Len()
		writer, err := os.OpenFile(p.Config, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.Signal(t, syscall.SIGHUP)
		p.Err.WaitAfter(t, mark, "reload asked")
		if err := syscall.Kill(dies, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.Err.WaitAfter(t, mark, "reload failed.*is being written by another process")
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		p.Err.WaitAfter(t, mark, "worker ended by itself")
		said := p.Err.String()[mark:]
		if strings.Index(said, "worker ended by itself") < strings.Index(said, "reload failed") {
			t.Logf("seen at try %d", try+1)
			return
		}
	}
	t.Errorf("in each of %d reloads that waited, the end of a worker was seen after its verdict", tries)
}

// A stop does not wait for what a reload reads, and whoever asked for the
// reload hears of it.
func TestStopDoesNotWaitForAReloadThatReads(t *testing.T) {
	const tries = 5
	for try := range tries {
		p := Start(t, Options{Config: "workers = 2\n", Command: RoleCommand(t, "named")})
		writer, err := os.OpenFile(p.Config, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		mark := p.Err.Len()
		verdict := make(chan string, 1)
		go func() {
			code, out := p.CLI(t, "reload")
			verdict <- strings.TrimSpace(out)
			if code != 1 {
				t.Errorf("reload: exit %d", code)
			}
		}()
		p.Err.WaitAfter(t, mark, "reload asked")
		p.Signal(t, syscall.SIGTERM)
		out := <-verdict
		if code, _ := p.Wait(t); code != 0 {
			t.Errorf("stop: exit %d", code)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		if said := p.Err.String()[mark:]; strings.Contains(said, `"reload failed"`) {
			continue // this machine was slow, or the stop waited
		}
		if !strings.Contains(out, "stopping") {
			t.Errorf("the reload says %q", out)
		}
		t.Logf("seen at try %d", try+1)
		return
	}
	t.Errorf("in each of %d stops a reload that waited came first", tries)
}
