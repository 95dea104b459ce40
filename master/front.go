package master

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// front is a Redis-protocol socket that leads to the store, for the workers of
// one user: the path is that user's alone. The master binds it and waits for a
// first connection; a helper accepts.
type front struct {
	number int // of its helper
	ids    identity
	socket *sockets.Socket
	folder string // of its own, removed with it; "" none

	poll *poller // that watches it; nil: not yet
	key  int32   // in poll, while a first client is waited for; 0: none
}

// knock waits for a client of a front: the master looks, and a helper accepts.
type knock struct {
	helper int
	in     *inbox
}

func (k *knock) readable([]byte) bool {
	k.in.put(fromWorker{asked: k.helper})
	return false // once: the helper sees the rest
}

// watch has the loop told when a client waits.
func (f *front) watch(poll *poller, in *inbox) (err error) {
	f.unwatch()
	f.poll = poll
	f.key, err = f.poll.add(f.socket.FD, &knock{f.number, in})
	return err
}

func (f *front) unwatch() {
	if f.key != 0 {
		f.poll.remove(f.key, 0)
		f.key = 0
	}
}

// frontSuffix makes the path of a front from that of the control socket.
const frontSuffix = ".store"

// openFront binds a front beside the control socket, else in a fresh folder in
// the temporary folder: where there is no control socket, its path would be
// too long, or these workers cannot pass a parent of it.
func openFront(control string, id identity, others []*front) (*front, error) {
	var first error
	if path := besideControl(control, id, others); path != "" {
		s, err := sockets.Listen(frontAddr(path, id))
		if err == nil {
			return &front{ids: id, socket: s}, nil
		}
		first = fmt.Errorf("store socket: %w", err)
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return nil, first
		}
	}
	f, err := frontInTemp(id)
	if err != nil {
		return nil, errors.Join(first, fmt.Errorf("store socket: %w", err))
	}
	return f, nil
}

// besideControl gives the path of a front beside the control socket, "" where
// it cannot be there.
func besideControl(control string, id identity, others []*front) string {
	if control == "" || id.uid != os.Geteuid() && !passable(filepath.Dir(control)) {
		return ""
	}
	path := control + frontSuffix
	if slices.ContainsFunc(others, func(f *front) bool { return f.socket.Addr.Path == path }) {
		path += "-" + strconv.Itoa(id.uid)
	}
	if len(path) > maxSunPath {
		return ""
	}
	return path
}

// frontAddr: 0600, and the user's from the first moment that it has a mode
// other than that of nobody (see bindPath of sockets).
func frontAddr(path string, id identity) sockets.Addr {
	a := sockets.Addr{Network: sockets.NetworkUnix, Path: path, Options: sockets.Options{Mode: 0o600}}
	if id.drop {
		a.Options.User = strconv.Itoa(id.uid)
	}
	return a
}

// frontInTemp makes a folder that is given away last: until then nobody can
// put something else in the way of what is made in it.
func frontInTemp(id identity) (*front, error) {
	dir, err := os.MkdirTemp("", "prefork-")
	if err != nil {
		return nil, err
	}
	s, err := sockets.Listen(frontAddr(filepath.Join(dir, "store.sock"), id))
	if err == nil && id.drop {
		err = os.Chown(dir, id.uid, id.gid)
	}
	if err != nil {
		if s != nil {
			_ = s.Close()
		}
		_ = os.Remove(dir)
		return nil, err
	}
	return &front{ids: id, socket: s, folder: dir}, nil
}

// url is what PREFORK_STORE says.
func (f *front) url() string {
	return (&url.URL{Scheme: "unix", Path: f.socket.Addr.Path}).String()
}

// close takes the path away, and the master's copy of the socket. A helper
// that still has it serves whom it has.
func (f *front) close() {
	f.unwatch()
	_ = f.socket.Close()
	if f.folder != "" {
		_ = os.Remove(f.folder) // empty, unless its user has put something there
	}
}
