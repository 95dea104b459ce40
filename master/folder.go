package master

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// notifyRoom is what a worker's socket needs behind its folder: "/" and a
// 63-bit number.
const notifyRoom = 1 + 19

// notifyFolder holds the workers' notify sockets: a folder of mode 0711
// beside the control socket, else a fresh one in the temporary folder. 0711:
// whoever knows a socket's name reaches it, and nobody else can list them.
type notifyFolder struct {
	beside string // "" none
	temp   string // made at first need
}

// open makes the folder beside the control socket and empties it: what is in
// it was left by a master that is gone, as the control socket proves.
func (f *notifyFolder) open(control string) error {
	if control != "" {
		path := control + ".notify" // whole: two sockets never share a folder
		if len(path)+notifyRoom <= maxSunPath && ownFolder(path) {
			f.beside = path
			return nil
		}
	}
	return f.makeTemp()
}

// ownFolder makes or takes over a folder that is ours and nobody else's.
func ownFolder(path string) bool {
	if err := os.Mkdir(path, 0o711); err != nil && !os.IsExist(err) {
		return false
	}
	st, err := os.Lstat(path)
	if err != nil || !st.IsDir() || st.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return false
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return false
	}
	left, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range left {
		if e.Type() == os.ModeSocket {
			_ = os.Remove(filepath.Join(path, e.Name()))
		}
	}
	return true
}

func (f *notifyFolder) makeTemp() error {
	if f.temp != "" {
		return nil
	}
	path, err := os.MkdirTemp("", "prefork-")
	if err != nil {
		return fmt.Errorf("folder for notify sockets: %w", err)
	}
	if err := os.Chmod(path, 0o711); err != nil {
		_ = os.Remove(path)
		return err
	}
	f.temp = path
	return nil
}

// forUID gives a folder that this user can pass: the one beside the control
// socket unless a parent of it is closed to that user.
func (f *notifyFolder) forUID(uid int) string {
	if f.beside != "" && (uid == os.Geteuid() || passable(filepath.Dir(f.beside))) {
		return f.beside
	}
	if err := f.makeTemp(); err != nil {
		return f.beside // the socket's own error will say it
	}
	return f.temp
}

// instead gives another folder than dir, where no socket could be made: its
// disk is full or read-only, or somebody has removed it, as what tidies the
// temporary folder does.
func (f *notifyFolder) instead(dir string) (string, error) {
	if dir == f.temp {
		_ = os.Remove(f.temp) // if it is there and empty
		f.temp = ""
	}
	if err := f.makeTemp(); err != nil {
		return "", err
	}
	return f.temp, nil
}

// passable says that everybody may go through a folder and all above it.
func passable(path string) bool {
	for {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || st.Mode&0o001 == 0 {
			return false
		}
		if path == "/" || path == "." {
			return true
		}
		path = filepath.Dir(path)
	}
}

func (f *notifyFolder) close() {
	for _, path := range []string{f.beside, f.temp} {
		if path != "" {
			_ = os.Remove(path) // empty: each socket went with its worker
		}
	}
}
