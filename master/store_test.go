package master

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
)

func openStore(t *testing.T, control string) *master {
	t.Helper()
	var m master
	if err := m.store.open(Store{Memory: store.Config{Size: store.MinSize}}, control); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.store.close)
	return &m
}

func us() identity { return identity{uid: os.Geteuid(), gid: os.Getegid()} }

func TestAnIdInTheTableIsNeverGivenTwice(t *testing.T) {
	s := &openStore(t, "").store
	last := s.segment.DrawID()
	s.ids[last+1], s.ids[last+2] = &proc{}, &proc{}
	if id := s.drawID(); id != last+3 {
		t.Errorf("%d was drawn, want %d", id, last+3)
	}
	none := &sharedStore{ids: map[uint64]*proc{1: {}}}
	if a, b := none.drawID(), none.drawID(); a != 2 || b != 3 {
		t.Errorf("without a segment %d and %d were drawn, want 2 and 3", a, b)
	}
}

func TestAFrontIsBesideTheControlSocketAndOursAlone(t *testing.T) {
	control := filepath.Join(folder(t), "c.sock")
	s := openStore(t, control)
	f, err := s.frontFor(us(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(control + ".store")
	if err != nil || st.Mode().Perm() != 0o600 || f.url() != "unix://"+control+".store" {
		t.Errorf("%s: %v, %v", f.url(), st, err)
	}
	if again, err := s.frontFor(us(), Config{}); again != f || err != nil {
		t.Errorf("a second one for the same user: %v", err)
	}
	s.store.close()
	if _, err := os.Lstat(control + ".store"); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

func TestTheURLOfAFrontIsAbsolute(t *testing.T) {
	dir := folder(t)
	t.Chdir(dir)
	f, err := openStore(t, "c.sock").frontFor(us(), Config{})
	if err != nil || f.url() != "unix://"+dir+"/c.sock.store" {
		t.Errorf("%+v, %v", f, err)
	}
}

// The control socket says that the master that left it is gone. A helper of
// that one may still listen.
func TestAFrontOfADeadMasterIsTakenOver(t *testing.T) {
	control := filepath.Join(folder(t), "c.sock")
	for _, name := range []string{".store", ".store-65534"} {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: control + name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		defer func() { _ = ln.Close() }()
	}
	for _, other := range []string{".storey", ".store-x"} {
		if err := os.WriteFile(control+other, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openStore(t, control).frontFor(us(), Config{})
	if err != nil || f.socket.Addr.Path != control+".store" {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := os.Lstat(control + ".store-65534"); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
	for _, other := range []string{".storey", ".store-x"} {
		if _, err := os.Lstat(control + other); err != nil {
			t.Error(err)
		}
	}
}

// What is no socket is not ours to remove; the temporary folder does then.
func TestAFrontIsElsewhereWhereItCannotBeBeside(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder(t), "c.sock")
	if err := os.WriteFile(file+".store", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, control := range map[string]string{"none": "", "too long": filepath.Join(long, "c.sock"), "in the way": file} {
		s := openStore(t, control)
		f, err := s.frontFor(us(), Config{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		st, err := os.Stat(f.folder)
		if err != nil || st.Mode().Perm() != 0o700 || f.folder == "" {
			t.Errorf("%s: folder %q: %v, %v", name, f.folder, st, err)
		}
		s.store.close()
		if _, err := os.Stat(f.folder); !os.IsNotExist(err) {
			t.Errorf("%s: left behind: %v", name, err)
		}
	}
	if _, err := os.Lstat(file + ".store"); err != nil {
		t.Error(err)
	}
	t.Setenv("TMPDIR", long)
	if _, err := openStore(t, "").frontFor(us(), Config{}); err == nil || !strings.Contains(err.Error(), "store socket: ") {
		t.Errorf("both too long: %v", err)
	}
}

func TestAFrontBelongsToTheWorkersUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to run workers as another user")
	}
	nobody := identity{drop: true, uid: 65534, gid: 65534}
	dir := folder(t)
	control := filepath.Join(dir, "c.sock")
	s := openStore(t, control)
	first, err := s.frontFor(us(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.frontFor(nobody, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(second.socket.Addr.Path, &st); err != nil || st.Uid != 65534 || st.Mode&0o7777 != 0o600 {
		t.Errorf("%s: uid %d, mode %o, %v", second.socket.Addr.Path, st.Uid, st.Mode, err)
	}
	if first == second || first.socket.Addr.Path == second.socket.Addr.Path {
		t.Error("two users share one front")
	}
	if second.folder == "" { // its folder can be passed by everybody
		return
	}
	if err := unix.Stat(second.folder, &st); err != nil || st.Uid != 65534 || st.Mode&0o7777 != 0o700 {
		t.Errorf("%s: uid %d, mode %o, %v", second.folder, st.Uid, st.Mode, err)
	}
}

func TestASegmentThatCannotBeMadeNamesTheCause(t *testing.T) {
	var s sharedStore
	err := s.open(Store{Memory: store.Config{Size: 1 << 62}}, "")
	if err == nil || !strings.Contains(explainSize(err).Error(), "create store: ") {
		t.Errorf("%v, want what could not be made", err)
	}
	s.close()
}
