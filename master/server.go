package master

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/control"
	"prefork/sockets"
)

const (
	maxClients  = 256             // of the control socket at once: who waits for a reload is one too
	askTimeout  = 5 * time.Second // from the connect to the whole request
	sendTimeout = 5 * time.Second // for one line back
	maxProgress = 64              // lines that wait for a slow client; more are dropped

	lockPatience = 2 * time.Second // a start holds the lock for as long as a connect takes, 1 s at most
	lockEvery    = 10 * time.Millisecond
)

// call is one request on its way to the loop. The loop puts answers in and
// never waits for them to be read.
type call struct {
	req     control.Request
	answers chan control.Answer // progress, then one final answer
	final   bool                // it was given; the loop's own
	gone    atomic.Bool         // nobody reads answers any more
}

// progress tells callers how far it is.
func progress(callers []*call, text string) {
	for _, c := range callers {
		if len(c.answers) < maxProgress {
			c.answers <- control.Answer{Progress: text}
		}
	}
}

// finish gives the final answer: there is always room for it.
func (c *call) finish(a control.Answer) {
	if !c.final {
		c.final = true
		c.answers <- a
	}
}

func finishAll(callers []*call, a control.Answer) {
	for _, c := range callers {
		c.finish(a)
	}
}

// server is the control socket. Its goroutines read requests and write
// answers; they know nothing of the pool.
type server struct {
	ln   *net.UnixListener
	path string
	ino  uint64
	done chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

var errRunning = errors.New("already running")

// openControl binds the control socket. One that nobody asked for may stay
// away where its folder cannot be written.
func (m *master) openControl() error {
	if m.cfg.Control == "" {
		m.log.Info("no control socket: no folder for it is writable", "hint", "--control PATH")
		return nil
	}
	s, err := listenControl(m.cfg.Control)
	_, asked := m.cfg.Where["control"]
	switch {
	case err == nil:
		m.server, m.control = s, m.cfg.Control
		return nil
	case !asked && !errors.Is(err, errRunning) && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOENT)):
		m.log.Info("no control socket", "path", m.cfg.Control, "error", err)
		return nil
	}
	return err
}

// listenControl binds path: its folder is ours or root's and nobody else can
// write it, which is checked and held by descriptor, under a lock, so that of
// two masters that start at once one wins.
func listenControl(path string) (*server, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: open %s: %w", path, dir, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := trusted(fd, dir); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	// By the descriptor: the folder that was checked is the one that is used.
	at := fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path))
	release, err := lockControl(at)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	defer release()
	if err := removeStale(at, path); err != nil {
		return nil, err
	}
	old := unix.Umask(0o177) // no moment with another mode than 0600; nothing else runs yet
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	s := &server{ln: ln, path: path, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		s.ino = st.Ino
	}
	return s, nil
}

// lockControl waits for another master that is in the middle of this. The lock
// is a file of our own: the folder itself could be locked by everybody who can
// read it, for as long as they like (flock(2)).
func lockControl(path string) (release func(), err error) {
	limit := time.Now().Add(lockPatience)
	for {
		release, err := sockets.Lock(path)
		if !errors.Is(err, sockets.ErrInUse) || time.Now().After(limit) {
			return release, err
		}
		<-time.After(lockEvery)
	}
}

func trusted(fd int, dir string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Uid != 0 && int(st.Uid) != unix.Geteuid() {
		return fmt.Errorf("folder %s belongs to uid %d: want root's or uid %d's", dir, st.Uid, unix.Geteuid())
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("folder %s has mode %04o, so that others can write it: want 0755 or less", dir, st.Mode&0o7777)
	}
	return nil
}

// removeStale removes a socket that nobody listens on. A live one is another
// master; anything else than a socket is not ours to remove.
func removeStale(at, path string) error {
	var st unix.Stat_t
	err := unix.Lstat(at, &st)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fmt.Errorf("control socket %s: something else than a socket is there", path)
	}
	conn, err := net.DialTimeout("unix", at, time.Second)
	if err == nil {
		who := peer(conn.(*net.UnixConn))
		_ = conn.Close()
		return fmt.Errorf("control socket %s: %w (pid %d)", path, errRunning, who.Pid)
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("control socket %s: cannot tell whether a master listens: %w", path, err)
	}
	return unix.Unlink(at)
}

// peer gives the credentials of the other end, as they were at the connect.
func peer(c *net.UnixConn) unix.Ucred {
	var cred unix.Ucred
	raw, err := c.SyscallConn()
	if err != nil {
		return unix.Ucred{Uid: ^uint32(0)}
	}
	ok := false
	_ = raw.Control(func(fd uintptr) {
		if u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			cred, ok = *u, true
		}
	})
	if !ok {
		return unix.Ucred{Uid: ^uint32(0)}
	}
	return cred
}

// serve answers clients until close. A nil server serves nobody.
func (s *server) serve(calls chan<- *call) {
	if s == nil {
		return
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for {
			conn, err := s.ln.AcceptUnix()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				// EMFILE and the like: the client waits in the queue.
				select {
				case <-s.done:
					return
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			s.take(conn, calls)
		}
	}()
}

// take starts a client's goroutine, or turns it away.
func (s *server) take(conn *net.UnixConn, calls chan<- *call) {
	_ = conn.SetDeadline(time.Now().Add(askTimeout))
	refuse := func(why string) {
		_ = json.NewEncoder(conn).Encode(control.Answer{Error: why})
		_ = conn.Close()
	}
	cred := peer(conn)
	if cred.Uid != 0 && int(cred.Uid) != unix.Geteuid() {
		refuse(fmt.Sprintf("uid %d may not ask: want root or uid %d", cred.Uid, unix.Geteuid()))
		return
	}
	s.mu.Lock()
	full := len(s.conns) >= maxClients
	if !full {
		s.conns[conn] = struct{}{}
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if full {
		refuse(fmt.Sprintf("%d clients are being served already (the limit): try again", maxClients))
		return
	}
	go func() {
		defer s.wg.Done()
		s.client(conn, calls)
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
}

// client reads one request and writes its answers.
func (s *server) client(conn *net.UnixConn, calls chan<- *call) {
	send := func(a control.Answer) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(sendTimeout))
		return json.NewEncoder(conn).Encode(a) == nil
	}
	in := bufio.NewReaderSize(conn, control.MaxLine)
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		send(control.Answer{Error: fmt.Sprintf("request of more than %d bytes", control.MaxLine)})
		return
	}
	if err != nil {
		return
	}
	c := &call{answers: make(chan control.Answer, maxProgress+1)}
	defer c.gone.Store(true)
	if err := json.Unmarshal(line, &c.req); err != nil {
		send(control.Answer{Error: "request is not a JSON object of the control protocol: " + err.Error()})
		return
	}
	select {
	case calls <- c:
	case <-s.done:
		send(control.Answer{Error: "stopping"})
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	go func() { // a client that leaves ends the wait, never the work
		_, _ = io.Copy(io.Discard, in) // one request a connection: what else it sends is not read
		if hungUp(conn) {
			close(gone)
		}
	}()
	for {
		select {
		case a := <-c.answers:
			if !send(a) || a.Progress == "" {
				return
			}
		case <-gone:
			return
		case <-s.done:
			s.last(c, send)
			return
		}
	}
}

// hungUp tells a client that has closed from one that has only said that it
// sends no more, as `printf ... | socat` does: POLLHUP comes with both
// directions shut (Linux, unix_poll in net/unix/af_unix.c).
func hungUp(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	hup := true
	_ = raw.Control(func(fd uintptr) { // fails on a closed connection only, which has hung up
		p := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(p, 0); err == nil {
			hup = p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		}
	})
	return hup
}

// last writes what the loop had still answered before it ended.
func (s *server) last(c *call, send func(control.Answer) bool) {
	for {
		select {
		case a := <-c.answers:
			if !send(a) || a.Progress == "" {
				return
			}
		default:
			send(control.Answer{Error: "the master ended"})
			return
		}
	}
}

// close ends all clients and removes the socket, if it is still ours.
func (s *server) close() {
	close(s.done)
	_ = s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	s.wg.Wait()
	var st unix.Stat_t
	if err := unix.Lstat(s.path, &st); err == nil && st.Ino == s.ino && s.ino != 0 {
		_ = os.Remove(s.path)
	}
}
