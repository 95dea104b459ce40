//go:build faults

package faults

import (
	"path/filepath"
	"strings"
	"testing"

	"prefork/scripts/storm/load"
)

// exampleFile is a worker that the documentation shows.
func exampleFile(name string) string {
	return filepath.Join(moduleRoot(), "docs/examples/workers", name)
}

// Programs that are no Go workers, reloaded under load. Those that handle the
// stop signal lose nothing of clients with a connection per request. What
// clients that keep theirs lose, and what a program without a handler loses,
// is stated for docs/reference/workers.md.
func TestReloadsOfForeignProgramsUnderLoad(t *testing.T) {
	needPrograms(t, python, "node", "gunicorn")
	for _, c := range []struct {
		name    string
		command []string
		handles bool
	}{
		{"gunicorn-sync", gunicorn(t, "-w", "1", "--preload", "--no-sendfile", "--log-level", "error", "app:app"), true},
		{"gunicorn-gthread", gunicorn(t, "-w", "1", "--preload", "-k", "gthread", "--threads", "4", "--log-level", "error", "app:app"), false},
		{"python-handler", []string{python, exampleFile("worker.py")}, true},
		{"python-plain", []string{python, programFile(t, "http_server.py")}, false},
		{"node-handler", []string{"node", exampleFile("worker.js")}, true},
		{"node-plain", []string{"node", programFile(t, "server.js")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Start(t, Options{
				// Not auto: under a load that leaves no processor idle a silent
				// worker is never at rest, and is taken as ready after 10 s.
				Flags:   []string{"-w", "4", "--settle", "200ms", "--ready", "alive:500ms"},
				Command: c.command,
			})
			s := startStorm(t, p.Addr(t), 4, 4)
			s.until(t, 200)
			rounds := Count(t, 20)
			for range rounds {
				s.Mark("reload")
				p.Reload(t)
				s.until(t, 100)
			}
			r := s.stop(t)
			fresh, kept := r.By[load.Fresh], r.By[load.Kept]
			Figure(t, "reload-"+c.name, "%d reloads: %d errors in %d requests of clients with a connection each, %d in %d of clients that keep theirs",
				rounds, fresh.Failed, fresh.Requests, kept.Failed, kept.Requests)
			if c.handles && fresh.Failed > 0 {
				t.Errorf("%d errors of clients with a connection per request:\n%s", fresh.Failed, r.Summary())
			}
		})
	}
}

// A drain that hangs would show as a worker that is killed at its deadline.
func TestExampleWorkersDrainInTime(t *testing.T) {
	needPrograms(t, python, "node")
	for _, command := range [][]string{{python, exampleFile("worker.py")}, {"node", exampleFile("worker.js")}} {
		p := Start(t, Options{Flags: []string{"-w", "2", "--settle", "0", "--drain-timeout", "20s"}, Command: command})
		if text := get(t, p.Addr(t)); !strings.HasPrefix(text, "hello from ") {
			t.Errorf("%s answers %q", command, text)
		}
		p.Stop(t)
		if strings.Contains(p.Err.String(), "killing a worker") {
			t.Errorf("%s did not drain in time", command)
		}
	}
}
