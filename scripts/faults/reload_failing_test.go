//go:build faults

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"prefork/master/control"
)

var (
	// The role "late" is a program that gives up after some time.
	_ = Role("late", func(args []string) {
		d, _ := time.ParseDuration(args[0]) // a constant of the test's
		<-time.After(d)
		fmt.Fprintln(os.Stderr, "late: the books closed in front of me")
		os.Exit(9)
	})
	// The role "silent" is a program that says nothing, ever.
	_ = Role("silent", func([]string) { <-make(chan struct{}) })
)

// tomlList writes a command as the config file has it; JSON's strings are TOML's.
func tomlList(t testing.TB, words ...string) string {
	t.Helper()
	b, err := json.Marshal(words)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wrongCommand is what no pool can run, and what must be said about it.
type wrongCommand struct {
	name  string
	lines string // of the file, besides the command
	words []string
	says  string // pattern
}

func wrongCommands(t testing.TB, dir string) []wrongCommand {
	plain := filepath.Join(dir, "not-executable")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return []wrongCommand{
		{"exits at once", "", RoleCommand(t, "broken"), `exited with status 7.*` + regexp.QuoteMeta(BrokenReason)},
		{"exits after 1.5 s", "", RoleCommand(t, "late", "1500ms"), `exited with status 9.*the books closed in front of me`},
		{"is never ready", "ready = \"notify\"\nstart_timeout = \"1s\"", RoleCommand(t, "silent"), `slot \d not ready 1s after its start \(start timeout\)`},
		{"does not exist", "", []string{filepath.Join(dir, "none")}, `exec ` + dir + `/none: no such file or directory`},
		{"is not in PATH", "", []string{"no-such-program-here"}, `no-such-program-here: not found in PATH`},
		{"is not executable", "", []string{plain}, `exec ` + plain + ` \(mode 0644.*permission denied`},
		{"has no interpreter", "", []string{writeProgram(t, dir, "orphan", "#!/no/such/interpreter\n")}, `orphan: it exists, but not the interpreter`},
		{"is no program", "", []string{writeProgram(t, dir, "garbage", "\x01\x02\x03\x04 no program")}, `garbage: neither a program for \w+ nor a script`},
		{"fails in its import after 2 s", "", gunicorn(t, "-w", "1", "broken:app"), `exited with status 3.*ImportError: the ledger is not there`},
		{"stands in a folder that is gone", "chdir = \"/no/such/folder\"", RoleCommand(t, "web"), `chdir /no/such/folder: no such file or directory`},
	}
}

// A reload to what cannot run leaves the running generation as it is: the same
// processes, no request lost, and the reason where people look for it.
func TestFailedReloadLeavesTheOldGenerationAlone(t *testing.T) {
	needPrograms(t, "gunicorn")
	good := "workers = 2\ncommand = " + tomlList(t, RoleCommand(t, "web")...) + "\n"
	p := Start(t, Options{Config: good})
	load := StartLoad(t, Dial(p.Addr(t)), 4)
	load.Until(t, 50)
	pids := PIDs(Ready(p.Status(t)))

	fails := func(name, says string) {
		t.Helper()
		mark, logged := p.Notify.Mark(), p.Err.Len()
		before := load.Tally().Requests
		code, out := p.CLI(t, "reload")
		reason := regexp.MustCompile(says)
		if code != 1 || !reason.MatchString(out) {
			t.Errorf("%s: reload: exit %d, want 1 and %q:\n%s", name, code, says, out)
		}
		s := p.Status(t)
		if got := PIDs(Ready(s)); !slices.Equal(got, pids) || s.Generation != 1 || !s.Ready {
			t.Errorf("%s: generation %d with %d, want 1 with %d", name, s.Generation, got, pids)
		}
		if r := s.LastReload; r == nil || r.Outcome != control.Failed || !reason.MatchString(r.Reason) {
			t.Errorf("%s: status has last reload %+v, want %q", name, r, says)
		}
		if _, text := p.CLI(t, "status"); !reason.MatchString(text) {
			t.Errorf("%s: status does not show %q:\n%s", name, says, text)
		}
		p.Err.WaitAfter(t, logged, "reload failed")
		p.Notify.WaitAfter(t, mark, "RELOADING=1")
		p.Notify.WaitAfter(t, mark, "READY=1")
		if !strings.Contains(strings.Join(p.Notify.texts()[mark:], "\n"), "STATUS=") {
			t.Errorf("%s: nothing upwards about it: %q", name, p.Notify.texts()[mark:])
		}
		p.Until(t, name+": the failed generation gone", hasOnly(pids))
		if load.Tally().Requests == before {
			load.Until(t, 1)
		}
	}
	for _, w := range wrongCommands(t, p.Dir) {
		p.WriteConfig(t, fmt.Sprintf("workers = 2\n%s\ncommand = %s\n", w.lines, tomlList(t, w.words...)))
		fails(w.name, w.says)
	}
	for _, w := range []struct{ name, text, says string }{
		{"unknown key", good + "drain-timeout = \"3s\"\n", `pool\.toml:3: unknown key "drain-timeout", did you mean "drain_timeout"\?`},
		{"bad value", "workers = \"many\"\n" + good[len("workers = 2\n"):], `pool\.toml:1: workers: "many" is no worker count`},
		{"no TOML", "workers = = 2\n", `pool\.toml:1:11: `},
		{"no command", "workers = 2\n", `no command`},
	} {
		p.WriteConfig(t, w.text)
		fails(w.name, w.says)
	}

	p.WriteConfig(t, good)
	p.Reload(t)
	s := p.Until(t, "the old workers gone", hasReady(2, pids...))
	if r := s.LastReload; r == nil || r.Outcome != control.Committed || r.Reason != "" {
		t.Errorf("last reload %+v after a good one", r)
	}
	load.Until(t, 50)
	tally := load.Stop()
	Figure(t, "failed-reloads", "%v", tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

// hasOnly holds when these and no other workers are there.
func hasOnly(pids []int) func(control.Status) bool {
	return func(s control.Status) bool { return slices.Equal(PIDs(s.Workers), pids) }
}

// What the master itself was started with cannot be reloaded; the key is named.
func TestReloadOfWhatIsFixedNamesTheKey(t *testing.T) {
	text := "workers = 1\nname = \"one\"\ncommand = " + tomlList(t, RoleCommand(t, "web")...) + "\n"
	p := Start(t, Options{Config: text})
	pids := PIDs(Ready(p.Status(t)))
	p.WriteConfig(t, strings.Replace(text, `"one"`, `"two"`, 1))
	code, out := p.CLI(t, "reload")
	if code != 1 || !regexp.MustCompile(`pool\.toml:2.*name`).MatchString(out) {
		t.Errorf("exit %d: %s", code, out)
	}
	p.Until(t, "the old generation alone", hasOnly(pids))
	p.WriteConfig(t, text)
	p.Reload(t)
}
