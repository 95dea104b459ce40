//go:build faults

package faults

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A first generation that does not come up ends the run with 3 and the
// reason, and nobody was told that the pool is ready.
func TestFailedStartExitsWithTheReason(t *testing.T) {
	needPrograms(t, "gunicorn")
	commands := wrongCommands(t, tempDir(t))
	pools := make([]*Pool, len(commands))
	for i, w := range commands { // side by side: some fail after a while
		pools[i] = Start(t, Options{Config: fmt.Sprintf("workers = 2\n%s\ncommand = %s\n", w.lines, tomlList(t, w.words...)), NoWait: true})
	}
	for i, w := range commands {
		t.Run(w.name, func(t *testing.T) { refusesToStart(t, pools[i], 3, w.says) })
	}
}

// refusesToStart wants a pool to end with a code and the reason, without
// having been ready.
func refusesToStart(t testing.TB, p *Pool, code int, says string) {
	t.Helper()
	got, sig := p.Wait(t)
	if got != code {
		t.Errorf("exit %d (signal %v), want %d\n%s", got, sig, code, p.Err)
	}
	if !p.Err.waitEnd(Patience) {
		t.Error("stderr has not ended")
	}
	if text := p.Err.String(); !regexp.MustCompile(says).MatchString(text) {
		t.Errorf("no %q in:\n%s", says, text)
	}
	for _, m := range p.Notify.texts() {
		if strings.Contains(m, "READY=1") {
			t.Errorf("was said to be ready: %q", m)
		}
	}
}

// 125 is a failure like any other before the pool is ready: env, nice and
// timeout end with it for reasons of their own.
func TestStatus125BeforeReadinessIsAFailedStart(t *testing.T) {
	p := Start(t, Options{Command: []string{"nice", "-n", "nonsense", "true"}, NoWait: true})
	refusesToStart(t, p, 3, `exited with status 125: .*nonsense`)
}
