package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prefork/master"
)

// roles are the programs that the test binary plays when it is called by their
// name: the real program in scripts, and the other end of a control socket.
var roles = map[string]func(){
	"prefork":    playPrefork,
	"fakepool":   playPool,
	"fakesocket": playStale,
	"idle":       playIdle,
}

// runTests runs the tests and ends the process; scripts_test.go puts the roles
// in the path of its scripts first.
var runTests = func(m *testing.M) { os.Exit(m.Run()) }

func TestMain(m *testing.M) {
	master.Shim()
	if play, ok := roles[filepath.Base(os.Args[0])]; ok {
		play()
		os.Exit(0)
	}
	runTests(m)
}

// playPrefork is main with the folder of control sockets under the script's
// own, so that no pool of this machine is seen or touched.
func playPrefork() {
	if dir := os.Getenv("TEST_RUN_FOLDER"); dir != "" {
		runFolder = dir
	}
	os.Exit(Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// outcome is what a run of the command line in this process left.
type outcome struct {
	code           int
	stdout, stderr string
}

// try runs the command line in this process, with these variables alone.
func try(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	out, errs := file("stdout"), file("stderr")
	code := Main(args, environ, out, errs)
	read := func(f *os.File) string {
		defer f.Close()
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	return outcome{code, read(out), read(errs)}
}

// write makes a file in a folder of the test's own and gives its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// firstLine is a text up to its first line end.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
