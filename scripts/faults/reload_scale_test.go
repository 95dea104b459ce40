//go:build faults

package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"prefork/master/control"
)

// What TTIN, TTOU and scale have set holds over reloads, until the text of
// workers in the file is another than the one last read.
func TestScaleHoldsUntilTheTextInTheFileChanges(t *testing.T) {
	text := func(workers, more string) string {
		return fmt.Sprintf("workers = %s\n%scommand = %s\n", workers, more, tomlList(t, RoleCommand(t, "web")...))
	}
	p := Start(t, Options{Config: text("2", "")})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	wants := func(what string, n, config int) {
		t.Helper()
		s := p.Until(t, what, func(s control.Status) bool { return hasReady(n)(s) && len(s.Workers) == n && s.Phase == "running" })
		if s.Wanted != n || s.Configured != config {
			t.Errorf("%s: wanted %d, configured %d; want %d, %d", what, s.Wanted, s.Configured, n, config)
		}
		for i, w := range s.Workers {
			if w.Slot != i {
				t.Errorf("%s: slots %+v", what, s.Workers)
			}
		}
		_, table := p.CLI(t, "status")
		if differs := strings.Contains(table, fmt.Sprintf("(config %d)", config)); differs != (n != config) {
			t.Errorf("%s: status says:\n%s", what, table)
		}
	}
	wants("start", 2, 2)
	p.Signal(t, syscall.SIGTTIN)
	wants("TTIN", 3, 2) // one that comes while another is pending is lost: signal(7)
	p.Signal(t, syscall.SIGTTIN)
	wants("TTIN again", 4, 2)
	kept := PIDs(p.Status(t).Workers)
	p.Signal(t, syscall.SIGTTOU)
	wants("TTOU", 3, 2)
	for i, pid := range PIDs(p.Status(t).Workers) {
		if pid != kept[i] {
			t.Errorf("a scale down took slot %d, want the highest", i)
		}
	}
	p.Reload(t)
	wants("a reload", 3, 2)
	p.WriteConfig(t, text("2", "drain_timeout = \"20s\"\n"))
	p.Reload(t)
	wants("a reload with another key changed", 3, 2)
	if code, out := p.CLI(t, "scale", "5"); code != 0 || !strings.Contains(out, "5") {
		t.Errorf("scale: exit %d: %s", code, out)
	}
	wants("scale 5", 5, 2)
	p.WriteConfig(t, text("\"none\"", ""))
	if code, _ := p.CLI(t, "reload"); code != 1 {
		t.Errorf("a reload to a wrong count: exit %d", code)
	}
	wants("a failed reload", 5, 2)
	p.WriteConfig(t, text("1", ""))
	p.Reload(t)
	wants("another count in the file", 1, 1)
	p.Signal(t, syscall.SIGTTOU)
	p.Err.Wait(t, `"scale refused.*"workers":0`)
	wants("TTOU at one worker", 1, 1)
	load.Until(t, 20)
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// A count that a flag gives never changes by a reload of the file.
func TestCountOfAFlagStays(t *testing.T) {
	text := func(workers int) string {
		return fmt.Sprintf("workers = %d\ncommand = %s\n", workers, tomlList(t, RoleCommand(t, "web")...))
	}
	p := Start(t, Options{Config: text(4), Flags: []string{"-w", "2"}})
	wants := func(what string, n int) {
		t.Helper()
		p.Until(t, what, func(s control.Status) bool { return hasReady(n)(s) && len(s.Workers) == n && s.Configured == 2 })
	}
	wants("start", 2)
	p.WriteConfig(t, text(6))
	p.Reload(t)
	wants("another count in the file", 2)
	p.Signal(t, syscall.SIGTTIN)
	wants("TTIN", 3)
	p.Reload(t)
	wants("a reload after a scale", 3)
}

// In the middle of a reload a scale goes to both generations, and the reload
// commits with the new count.
func TestScaleInTheMiddleOfAReload(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2", "--settle", "1s"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	verdict := make(chan control.Answer, 1)
	go func() {
		a, err := p.ask(control.Request{Command: control.CmdReload})
		if err != nil {
			a.Error = err.Error()
		}
		verdict <- a
	}()
	p.Until(t, "two generations", func(s control.Status) bool { return len(s.Workers) == 4 })
	if code, out := p.CLI(t, "scale", "3"); code != 0 {
		t.Errorf("scale: exit %d: %s", code, out)
	}
	p.Until(t, "three of each, or committed", func(s control.Status) bool { return len(s.Workers) == 6 || s.Generation == 2 })
	if a := <-verdict; !a.OK {
		t.Errorf("%+v", a)
	}
	p.Until(t, "three workers", func(s control.Status) bool { return hasReady(3)(s) && len(s.Workers) == 3 && s.Generation == 2 })
	if tally := load.Stop(); tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// A stop ends the reload that runs and the one that waits, and refuses the rest.
func TestStopEndsARunningReload(t *testing.T) {
	p := Start(t, Options{
		Config: "workers = 1\ncommand = " + tomlList(t, RoleCommand(t, "web")...) + "\n",
	})
	p.WriteConfig(t, "workers = 1\nready = \"notify\"\ncommand = "+tomlList(t, RoleCommand(t, "silent")...)+"\n")
	verdicts := make(chan control.Answer, 3)
	for range 3 {
		go func() {
			a, err := p.ask(control.Request{Command: control.CmdReload})
			if err != nil {
				a.Error = err.Error()
			}
			verdicts <- a
		}()
	}
	p.Until(t, "the reload running", func(s control.Status) bool { return s.Phase == "reloading" && len(s.Workers) == 2 })
	p.Signal(t, syscall.SIGTERM)
	for range 3 {
		if a := <-verdicts; a.OK || !strings.Contains(a.Error, "stopping") {
			t.Errorf("%+v", a)
		}
	}
	if code, _ := p.Wait(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}
