package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	runTests = func(m *testing.M) { testscript.Main(m, roles) }
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			run := filepath.Join(e.WorkDir, "run")
			e.Setenv("TEST_RUN_FOLDER", run)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each program of a race build takes a second to end
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "xdg"))
			for _, name := range []string{"RUNTIME_DIRECTORY", "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID"} {
				e.Setenv(name, "")
			}
			return os.MkdirAll(run, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pool":  scriptPool,
			"store": scriptStore,
		},
	})
}

// scriptPool is the command "pool SOCKET FILE" of scripts: a pool that answers
// with the lines of the file, in the test's own process.
func scriptPool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pool SOCKET FILE")
	}
	path := ts.MkAbs(args[0])
	l, err := serveFake(path, []byte(ts.ReadFile(args[1])), func(string) {})
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}
