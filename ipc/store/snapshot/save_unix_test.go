//go:build unix

package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

func TestSaveReplacesTheFileAndOnlyItsOwnerReadsIt(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "store")
	for n := range 3 {
		must(t, snapshot.Save(ctx, path, filled(t, n)))
		got, err := snapshot.Load(ctx, path, empty())
		if got != n || err != nil {
			t.Errorf("%d entries, %v, want %d", got, err, n)
		}
	}
	i, err := os.Stat(path)
	must(t, err)
	if list := names(t, folder); i.Mode() != 0o600 || len(list) != 1 {
		t.Errorf("mode %s, folder %v", i.Mode(), list)
	}
}

func TestLinkStaysALink(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "store")
	must(t, os.Symlink(filepath.Join(elsewhere, "store"), path))
	if err := snapshot.Save(ctx, path, empty()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("link to nothing: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(elsewhere, "store"), nil, 0o600))
	must(t, snapshot.Save(ctx, path, filled(t, 2)))
	if to, err := os.Readlink(path); err != nil || filepath.Dir(to) != elsewhere {
		t.Errorf("link to %q, %v", to, err)
	}
	if n, err := snapshot.Load(ctx, path, empty()); n != 2 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestWhatIsNoFileIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	fifo := filepath.Join(folder, "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	for _, path := range []string{fifo, folder, "/dev/null"} {
		if err := snapshot.Save(ctx, path, empty()); err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("save %s: %v", path, err)
		}
		if _, err := snapshot.Load(ctx, path, empty()); err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("load %s: %v", path, err)
		}
	}
	if _, err := snapshot.Load(ctx, filepath.Join(folder, "none"), empty()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// child makes this binary play a role.
func child(t *testing.T, role, path string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), roleEnv+"="+role, pathEnv+"="+path)
	out, err := c.CombinedOutput()
	return string(out), err
}

func TestFullDiskLeavesTheOldFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "store")
	must(t, snapshot.Save(ctx, path, filled(t, 7)))
	out, err := child(t, "little-room", path)
	if err != nil || !strings.Contains(out, "save snapshot "+path) || !strings.Contains(out, "file too large") {
		t.Errorf("%v: %s", err, out)
	}
	if n, err := snapshot.Load(ctx, path, empty()); n != 7 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	if list := names(t, folder); !slices.Equal(list, []string{"store"}) {
		t.Errorf("folder %v", list)
	}
}

func TestStoreThatFailsLeavesTheOldFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "store")
	must(t, snapshot.Save(ctx, path, filled(t, 7)))
	bad := &troubled{Store: filled(t, 3), get: store.ErrUnavailable, times: 1}
	if err := snapshot.Save(ctx, path, bad); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := snapshot.Save(over, path, filled(t, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n, err := snapshot.Load(ctx, path, empty()); n != 7 || err != nil || len(names(t, folder)) != 1 {
		t.Errorf("%d entries, %v, folder %v", n, err, names(t, folder))
	}
}

func TestNewFileOfADeadProcessIsRemoved(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "store")
	for _, other := range []string{".store.7.tmp.bak", ".store.x.tmp", ".store2.7.tmp", "store.7.tmp"} {
		must(t, os.WriteFile(filepath.Join(folder, other), nil, 0o600))
	}
	if out, err := child(t, "die", path); err == nil {
		t.Fatalf("it was not killed: %s", out)
	}
	if list := names(t, folder); len(list) != 5 {
		t.Fatalf("the killed process left %v", list)
	}
	must(t, snapshot.Save(ctx, path, filled(t, 1)))
	if list := names(t, folder); len(list) != 5 || !slices.Contains(list, "store") {
		t.Errorf("folder %v", list)
	}
}

// Savers that meet at one path do not take each other's new file away.
func TestSaversAtOnePathDoNotSpoilTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "store")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := filled(t, 20)
			for range 10 {
				if err := snapshot.Save(ctx, path, s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n, err := snapshot.Load(ctx, path, empty()); n != 20 || err != nil || len(names(t, folder)) != 1 {
		t.Errorf("%d entries, %v, folder %v", n, err, names(t, folder))
	}
}

func TestFileThatChangesWhileItIsLoadedIsNoticed(t *testing.T) {
	file := written(t, filled(t, 8))
	r := &fickle{Reader: bytes.NewReader(file), second: append(bytes.Clone(file[:len(file)-1]), 'x')}
	if n, err := snapshot.Read(ctx, r, empty()); n != 8 || !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("%d entries, %v", n, err)
	}
}

// fickle has another content after it was rewound.
type fickle struct {
	*bytes.Reader
	second []byte
}

func (f *fickle) Seek(offset int64, whence int) (int64, error) {
	if whence == 0 {
		f.Reader = bytes.NewReader(f.second)
	}
	return f.Reader.Seek(offset, whence)
}
