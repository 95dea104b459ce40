package sockets_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// stale leaves a socket at path that nobody listens on, as SIGKILL does.
func stale(t testing.TB, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
}

// nothingBeside says that no lock file is left.
func nothingBeside(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path + ".lock"); !os.IsNotExist(err) {
		t.Errorf("lock file: %v, want none", err)
	}
}

func TestStaleSocketIsTakenOver(t *testing.T) {
	path := socketPath(t)
	stale(t, path)
	s := listen(t, "unix:"+path)
	talk(t, dial(t, s), accept(t, s))
	nothingBeside(t, path)
}

func TestLiveSocketIsNeverTakenOver(t *testing.T) {
	for _, tt := range []struct {
		name string
		live func(t *testing.T, path string) func()
	}{
		{"listening", func(t *testing.T, path string) func() {
			s := listen(t, "unix:"+path)
			return func() {
				accept(t, s) // the question itself
				talk(t, dial(t, s), accept(t, s))
			}
		}},
		{"full backlog", func(t *testing.T, path string) func() {
			s := listen(t, "unix:"+path+"?backlog=1")
			queued := dial(t, s)
			for {
				if _, err := tryDial(t, sockaddr(t, s)); err == unix.EAGAIN {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			return func() { talk(t, queued, accept(t, s)) }
		}},
		{"datagram", func(t *testing.T, path string) func() {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Close(fd) })
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
			return func() {}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := socketPath(t)
			check := tt.live(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := sockets.Listen(mustParse(t, "unix:"+path))
			if !errors.Is(err, sockets.ErrInUse) {
				t.Fatalf("%v, %v, want ErrInUse", s, err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("the path is another file now, %v", err)
			}
			nothingBeside(t, path)
			check()
		})
	}
}

func TestWhatIsNoSocketIsNeverTakenOver(t *testing.T) {
	for _, tt := range []struct {
		want string
		make func(t *testing.T, path string) error
	}{
		{"a regular file is in the way", func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("data"), 0o600) }},
		{"a folder is in the way", func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) }},
		{"a named pipe is in the way", func(_ *testing.T, path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a symbolic link is in the way", func(t *testing.T, path string) error {
			stale(t, path+".real")
			return os.Symlink(path+".real", path)
		}},
		{"a symbolic link is in the way", func(_ *testing.T, path string) error { return os.Symlink(path+".none", path) }},
	} {
		path := socketPath(t)
		if err := tt.make(t, path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sockets.Listen(mustParse(t, "unix:"+path))
		if err == nil || errors.Is(err, sockets.ErrInUse) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q and not ErrInUse", err, tt.want)
		}
		after, err := os.Lstat(path)
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the path is another file now, %v", tt.want, err)
		}
		nothingBeside(t, path)
	}
}

// Of many that start at once on a stale path one gets it, and nobody removes
// the winner's socket again.
func TestStartersDoNotRobEachOther(t *testing.T) {
	for range 30 {
		path := socketPath(t)
		stale(t, path)
		a := mustParse(t, "unix:"+path)
		const starters = 8
		var won [starters]*sockets.Socket
		var errs [starters]error
		var wg sync.WaitGroup
		for i := range starters {
			wg.Go(func() { won[i], errs[i] = sockets.Listen(a) })
		}
		wg.Wait()
		var winner *sockets.Socket
		for i := range starters {
			switch {
			case errs[i] == nil && winner == nil:
				winner = won[i]
			case errs[i] == nil:
				t.Fatal("two starters won")
			case !errors.Is(errs[i], sockets.ErrInUse):
				t.Fatal(errs[i])
			}
		}
		if winner == nil {
			t.Fatalf("nobody won: %v", errs)
		}
		for { // those who asked whether it is live are in the queue
			q, err := winner.Queued()
			if err != nil {
				t.Fatal(err)
			}
			if !q {
				break
			}
			accept(t, winner)
		}
		talk(t, dial(t, winner), accept(t, winner))
		nothingBeside(t, path)
		if err := winner.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockThatIsHeldIsInUse(t *testing.T) {
	path := socketPath(t)
	stale(t, path)
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := sockets.Listen(mustParse(t, "unix:"+path)); !errors.Is(err, sockets.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	listen(t, "unix:"+path) // a lock file that a killed starter left is no obstacle
	nothingBeside(t, path)
}

// Who waits for the lock may get that of a file which its holder has removed:
// the next starter would make a new file, and lock that.
func TestLockOfARemovedFileIsNone(t *testing.T) {
	name := socketPath(t)
	for _, tt := range []struct {
		what  string
		after func() error
		ours  bool
	}{
		{"the same", func() error { return nil }, true},
		{"removed", func() error { return os.Remove(name) }, false},
		{"made anew", func() error { return errors.Join(os.Rename(name, name+".old"), os.WriteFile(name, nil, 0o600)) }, false},
	} {
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.after(); err != nil {
			t.Fatal(err)
		}
		if ours, err := sockets.LockOpened(fd, name); ours != tt.ours || err != nil {
			t.Errorf("%s: %t, %v, want %t", tt.what, ours, err, tt.ours)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLongestPathsBind(t *testing.T) {
	path := socketPath(t)
	path += strings.Repeat("x", 107-len(path))
	s := listen(t, "unix:"+path)
	talk(t, dial(t, s), accept(t, s))
	name := abstractName(t)
	name += strings.Repeat("x", 106-len(name))
	s = listen(t, "unix:@"+name)
	talk(t, dial(t, s), accept(t, s))
}

// umask sets the mask of the whole process: no test that uses it is parallel.
func umask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func mode(t testing.TB, path string) os.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

// Between bind and the end of Listen the path is never wider than asked, even
// when the umask takes nothing away.
func TestModeIsNarrowFromTheStart(t *testing.T) {
	umask(t, 0)
	for _, want := range []struct{ asked, born os.FileMode }{{0o660, 0o600}, {0o600, 0o600}, {0o066, 0}, {0o777, 0o600}, {0, 0o777}} {
		path := socketPath(t)
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := sockets.BindPath(fd, path, uint32(want.asked)); err != nil {
			t.Fatal(err)
		}
		if got := mode(t, path); got != want.born {
			t.Errorf("mode=%#o: the path is born %#o, want %#o", want.asked, got, want.born)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModeIsAsAskedWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		umask(t, mask)
		for _, want := range []os.FileMode{0o600, 0o660, 0o666, 0o777} {
			path := socketPath(t)
			_ = os.Chmod(path[:len(path)-2], 0o700) // the folder, which the umask has shut too
			listen(t, "unix:"+path+"?mode=0"+strconv.FormatUint(uint64(want), 8))
			if got := mode(t, path); got != want {
				t.Errorf("umask %#o: mode %#o, want %#o", mask, got, want)
			}
		}
	}
	umask(t, 0o027)
	path := socketPath(t)
	listen(t, "unix:"+path)
	if got := mode(t, path); got != 0o750 {
		t.Errorf("no mode asked, umask 027: %#o, want 0750", got)
	}
}

func TestOwnerIsAsAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is missing: only it gives files away")
	}
	path := socketPath(t)
	s := listen(t, "unix:"+path+"?mode=0660&user=nobody&group=65533")
	check := func(uid, gid, mode uint32) {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid != uid || st.Gid != gid || st.Mode&0o777 != mode {
			t.Errorf("owner %d:%d, mode %#o, want %d:%d, %#o", st.Uid, st.Gid, st.Mode&0o777, uid, gid, mode)
		}
	}
	check(65534, 65533, 0o660)
	if err := s.Apply(mustParse(t, "unix:"+path+"?mode=0600&user=0&group=nogroup").Options); err != nil {
		t.Fatal(err)
	}
	check(0, 65534, 0o600)
}

// Apply looks at the inode, not at the name.
// The owner of the folder is not the one who binds in it: root binds in
// somebody's home. What is put in the place of the new socket right after bind
// must not get the mode or the owner that the socket was to have.
func TestAFilePutInTheSocketsPlaceKeepsItsMode(t *testing.T) {
	dir := t.TempDir()
	path, secret := dir+"/s", dir+"/secret"
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, secret, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) // ENOENT: not now
			}
		}
	}()
	defer func() {
		close(stop)
		<-ended
	}()
	a, err := sockets.Parse("unix:" + path + "?mode=0666")
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if err := os.WriteFile(secret, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := sockets.Listen(a); err == nil { // else it saw the exchange
			_ = s.Close()
		}
		for _, name := range []string{path, secret} {
			if st, err := os.Lstat(name); err == nil && st.Mode().IsRegular() && st.Mode().Perm() != 0o600 {
				t.Fatalf("the file has mode %v now", st.Mode())
			}
		}
		_, _ = os.Remove(path), os.Remove(secret) // whichever are there
	}
}

func TestApplyLeavesAnotherInode(t *testing.T) {
	path := socketPath(t)
	s := listen(t, "unix:"+path)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := sockets.Options{Mode: 0o666}
	if err := s.Apply(o); err == nil || !strings.Contains(err.Error(), "no longer the socket that was bound") {
		t.Errorf("got %v", err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("the other file has mode %#o", got)
	}
}

// A failed Listen leaves neither a path nor a lock nor a descriptor.
func TestFailedListenLeavesNothing(t *testing.T) {
	path := socketPath(t)
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"unix:" + path + "?user=nobody-of-that-name", "user nobody-of-that-name: "},
		{"unix:" + path + "?group=nobody-of-that-name", "group nobody-of-that-name: "},
		{"unix:/dev/null/s", "not a directory"},
		{"unix:" + path + ".none/s", "folder " + path + ".none: no such file or directory"},
		{"192.0.2.1:0", "192.0.2.1 is no address of this machine (the option freebind binds it all the same): bind: "},
		{"[2001:db8::1]:0", "2001:db8::1 is no address of this machine"},
		{"[fe80::1%none]:0", "interface none: "},
		{"name.invalid:0", "host name.invalid is not in /etc/hosts, and no name server is asked: want an IP address"},
		{"systemd:web", "systemd makes this socket"},
	} {
		_, err := sockets.Listen(mustParse(t, tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), "listen "+tt.text+": ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line with %q", err, tt.want)
		}
		nothingBeside(t, path)
	}
	// What a look-up of a name opened may go a moment later.
	eventually(t, fmt.Sprintf("no more than %d descriptors", len(dir)), func() bool {
		after, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(after) <= len(dir)
	})
}
