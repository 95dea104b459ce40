package master

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// folder is one that the control socket accepts, whatever the umask is.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheControlSocketIsOursAlone(t *testing.T) {
	path := filepath.Join(folder(t), "c.sock")
	s, err := listenControl(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want 0600", st.Mode(), err)
	}
	if _, err := listenControl(path); !errors.Is(err, errRunning) || !strings.Contains(err.Error(), "pid") {
		t.Errorf("a second master: %v, want already running, with the pid", err)
	}
	s.close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

func TestOfTwoMastersAtOnceOneWins(t *testing.T) {
	for range 20 {
		path := filepath.Join(folder(t), "c.sock")
		stale, err := listenControl(path)
		if err != nil {
			t.Fatal(err)
		}
		stale.ino = 0 // so that close leaves the path, as a kill would
		stale.close()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []*server
		for range 4 {
			wg.Go(func() {
				s, err := listenControl(path)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, s)
				case !errors.Is(err, errRunning):
					t.Errorf("lost with %v, want already running", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d masters took one path", len(won))
		}
		won[0].close()
	}
}

// A folder of mode 0755 can be opened, and so locked, by every user.
func TestAStrangersLockOfTheFolderStopsNobody(t *testing.T) {
	dir := folder(t)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		s, err := listenControl(filepath.Join(dir, "c.sock"))
		if err == nil {
			s.close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the lock")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAMasterThatStaysInTheMiddleOfItsStartIsNotWaitedForForEver(t *testing.T) {
	path := filepath.Join(folder(t), "c.sock")
	release, err := sockets.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := listenControl(path); !errors.Is(err, sockets.ErrInUse) {
		t.Errorf("%v, want in use", err)
	}
}

func TestAFolderThatOthersCanWriteIsRefused(t *testing.T) {
	dir := folder(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := listenControl(filepath.Join(dir, "c.sock")); err == nil || !strings.Contains(err.Error(), "0777") {
		t.Errorf("listenControl: %v, want a refusal with the mode", err)
	}
}

func TestWhatIsNoSocketStays(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "c.sock")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenControl(file); err == nil {
		t.Error("a file was taken for a socket")
	}
	link := filepath.Join(dir, "link.sock")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := listenControl(link); err == nil {
		t.Error("a symlink was followed")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestAForeignFolderIsRefused(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("missing: root, to give a folder away")
	}
	dir := folder(t)
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := listenControl(filepath.Join(dir, "c.sock")); err == nil || !strings.Contains(err.Error(), "65534") {
		t.Errorf("listenControl: %v, want a refusal with the owner", err)
	}
}
