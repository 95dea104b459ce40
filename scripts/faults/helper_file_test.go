//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"prefork/master/control"
)

// A store with a file outlives its pool.
func TestStoreFileKeepsTheStoreOverAStop(t *testing.T) {
	file := filepath.Join(tempDir(t), "pool.store")
	p := asleep(t, "--store-file", file)
	h := p.helper(t)
	if h.State != control.StateReady || h.PID == 0 {
		t.Fatalf("helper %+v, want it ready before the workers", h)
	}
	for i := range 22 {
		mustStore(t, h.Socket, "SET", fmt.Sprint("k", i), fmt.Sprint(i))
	}
	mustStore(t, h.Socket, "SET", "short", "lived", "EX", "1000")
	p.Stop(t)
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("file %v, %v", st, err)
	}
	q := asleep(t, "--store-file", file)
	socket := q.helper(t).Socket
	for key, want := range map[string]string{"k0": "0", "k21": "21", "short": "lived"} {
		if got := mustStore(t, socket, "GET", key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if s := q.Status(t); s.Store.File != file {
		t.Errorf("status says %q", s.Store.File)
	}
	// What was deleted does not come back with the next helper.
	for _, key := range []string{"k0", "k1", "short"} {
		mustStore(t, socket, "DEL", key)
	}
	for i := 2; i <= 21; i++ {
		mustStore(t, socket, "DEL", fmt.Sprint("k", i))
	}
	old := q.helper(t).PID
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	q.untilHelper(t, "the next helper", func(h control.Helper) bool { return h.State == control.StateReady && h.PID != old })
	if got := mustStore(t, socket, "GET", "k5"); got != "(nil)" {
		t.Errorf("a deleted entry is back: %q", got)
	}
}

// A damaged file is set aside with one warning, and never keeps a pool down.
func TestDamagedStoreFileIsSetAside(t *testing.T) {
	file := filepath.Join(tempDir(t), "pool.store")
	for n := 1; n <= 3; n++ {
		text := strings.Repeat("\x00\xff garbage ", n*100)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := asleep(t, "--store-file", file)
		socket := p.helper(t).Socket
		mustStore(t, socket, "SET", "k", "v")
		p.Stop(t)
		aside := fmt.Sprintf("%s.damaged-%d", file, n)
		if got, err := os.ReadFile(aside); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", aside, len(got), err)
		}
		if warnings := regexp.MustCompile(`"warn".*the store begins empty.*`).FindAllString(p.Err.String(), -1); len(warnings) != 1 || !strings.Contains(warnings[0], aside) {
			t.Errorf("warnings %q", warnings)
		}
	}
	p := asleep(t, "--store-file", file)
	if got := mustStore(t, p.helper(t).Socket, "GET", "k"); got != "v" {
		t.Errorf("after three damaged files: %q", got)
	}
}

// A file that cannot be had is a failed start that says why.
func TestStoreFileThatCannotBeWrittenFailsTheStart(t *testing.T) {
	for what, file := range map[string]string{
		"no such file or directory": filepath.Join(tempDir(t), "nowhere", "pool.store"),
		"a regular file is wanted":  tempDir(t),
	} {
		o := sleeping("--store-file", file)
		o.NoWait = true
		p := Start(t, o)
		if code, _ := p.Wait(t); code != 3 {
			t.Errorf("%s: exit %d, want 3", file, code)
		}
		if text := p.Err.String(); !strings.Contains(text, what) || !strings.Contains(text, file) {
			t.Errorf("no %q in\n%s", what, text)
		}
	}
}
