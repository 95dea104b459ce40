//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
)

// 100 callers and 100 signals within a second: at most one reload runs and one
// waits, so that only a few generations are made, and each caller gets the
// verdict of one that read the file after the call.
func TestHundredReloadsInASecondAreCoalesced(t *testing.T) {
	const n = 100
	const settle = 100 * time.Millisecond // no reload is quicker, on any machine
	p := Start(t, Options{Flags: []string{"-w", "2", "--settle", settle.String()}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 2)
	load.Until(t, 20)
	began := time.Now()
	var wg sync.WaitGroup
	answers := make([]control.Answer, n)
	errs := make([]error, n)
	tick := time.NewTicker(time.Second / n)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		wg.Add(1)
		go func() {
			defer wg.Done()
			answers[i], errs[i] = p.ask(control.Request{Command: control.CmdReload})
		}()
		p.Signal(t, syscall.SIGHUP)
	}
	asked := time.Since(began)
	wg.Wait()
	for i, a := range answers {
		if errs[i] != nil || !a.OK || !strings.Contains(a.Result, "is running") {
			t.Errorf("caller %d: %+v, %v", i, a, errs[i])
		}
	}
	s := p.Until(t, "the reloads done", func(s control.Status) bool {
		return s.Phase == "running" && len(s.Workers) == 2 && s.Workers[0].Generation == s.Generation
	})
	Figure(t, "reload-burst", "100 calls and 100 signals in %v made %d generations", asked.Round(time.Millisecond), s.Generation-1)
	if most := int(time.Since(began)/settle) + 1; s.Generation-1 > most {
		t.Errorf("%d generations of %d calls and as many signals, %d at most one after the other", s.Generation-1, n, most)
	}
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// The same where a reload takes its time: one runs, one waits, no third.
func TestReloadsBehindARunningOneBecomeOne(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1", "--settle", "1s"}, Command: RoleCommand(t, "web")})
	var wg sync.WaitGroup
	results := make([]control.Answer, 20)
	for i := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a, err := p.ask(control.Request{Command: control.CmdReload})
			if err != nil {
				a.Error = err.Error()
			}
			results[i] = a
		}()
	}
	wg.Wait()
	s := p.Status(t)
	if s.Generation > 3 {
		t.Errorf("generation %d after 20 calls at once, want at most 3", s.Generation)
	}
	for i, a := range results {
		if !a.OK {
			t.Errorf("caller %d: %+v", i, a)
		}
	}
}

// The role "stays" is a worker that will not go at the stop signal.
var _ = Role("stays", func([]string) { ignoreStop(); <-make(chan struct{}) })

// At most four generations drain. The next reload waits for the oldest of
// them, says so, and shortens no deadline.
func TestFifthDrainingGenerationIsWaitedFor(t *testing.T) {
	const drain = 4 * time.Second
	p := Start(t, Options{
		Flags:   []string{"-w", "1", "--ready", "alive:0s", "--settle", "0", "--drain-timeout", drain.String()},
		Command: RoleCommand(t, "stays"),
	})
	began := time.Now()
	for range 4 {
		p.Reload(t)
	}
	s := p.Status(t)
	if len(s.Workers) != 5 {
		t.Fatalf("%d workers after 4 reloads, want 4 that drain and 1", len(s.Workers))
	}
	first := s.Workers[slices.IndexFunc(s.Workers, func(w control.Worker) bool { return w.Generation == 1 })].PID
	if time.Since(began) > drain/2 {
		t.Skip("missing: a machine that does 4 reloads in 2 s, to have 4 generations drain at once")
	}
	code, out := p.CLI(t, "reload")
	if code != 0 || !strings.Contains(out, "4 generations drain already") {
		t.Errorf("the fifth reload: exit %d: %s", code, out)
	}
	took := time.Since(began)
	if took < drain {
		t.Errorf("the fifth reload began %v after the first: no deadline was awaited", took)
	}
	if processState(first) != "" {
		t.Errorf("worker %d of the first generation is still there", first)
	}
	if n := len(p.Status(t).Workers); n > 5 {
		t.Errorf("%d workers", n)
	}
	p.Signal(t, syscall.SIGQUIT) // nobody here leaves in peace
	if code, _ := p.Wait(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// What is replaced by a rename while it is read is always one of the versions,
// and each reload commits. So is what is written in place, without a pause
// between two versions here: a reload that finds no moment in which nobody
// writes is refused.
func TestReloadReadsOneVersionOfTheFile(t *testing.T) {
	text := func(n int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "workers = 1\ncommand = %s\nchdir = \"/\"\n[env]\nFIRST = \"%d\"\n", tomlList(t, RoleCommand(t, "env")...), n)
		for i := range 200 {
			fmt.Fprintf(&b, "# %0100d\n", i)
		}
		fmt.Fprintf(&b, "LAST = \"%d\"\n", n)
		return b.String()
	}
	p := Start(t, Options{Config: text(0)})
	addr := p.Addr(t)
	for _, way := range []string{"renamed", "in place"} {
		write := func(n int) error {
			if way == "in place" {
				return os.WriteFile(p.Config, []byte(text(n)), 0o644)
			}
			next := filepath.Join(p.Dir, "next")
			if err := os.WriteFile(next, []byte(text(n)), 0o644); err != nil {
				return err
			}
			return os.Rename(next, p.Config)
		}
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := write(n % 10); err != nil {
					done <- err
					return
				}
			}
		}()
		good, bad := 0, 0
		for range Count(t, 100) {
			if code, out := p.CLI(t, "reload"); code == 0 {
				good++
			} else {
				bad++
				if way == "renamed" {
					t.Errorf("exit %d: %s", code, out)
				}
			}
			env := map[string]string{}
			for _, kv := range strings.Split(get(t, addr), "\n") {
				name, value, _ := strings.Cut(kv, "=")
				env[name] = value
			}
			if env["FIRST"] == "" || env["FIRST"] != env["LAST"] {
				t.Errorf("%s: a worker has FIRST=%q LAST=%q", way, env["FIRST"], env["LAST"])
			}
		}
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		Figure(t, "config-race-"+strings.ReplaceAll(way, " ", "-"), "%d reloads committed, %d refused, every worker with one version of the file", good, bad)
	}
}
