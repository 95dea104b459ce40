package master

import (
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/ipc/notify"
	"prefork/master/internal/pool"
)

// maxQueued bounds the datagrams of one worker between poller and loop.
const maxQueued = 100

// proc is one process and what the master holds for it. It belongs to the
// loop, but for the sources, which the poller reads under its own lock.
type proc struct {
	id    pool.ID
	slot  int // -1: of a helper
	gen   *generation
	front *front // of a helper; nil: a worker
	pid   int
	since time.Time // of its spawn

	storeID uint64 // its id in the store

	pidfd    int
	lifeline int // write end
	cell     int // of the scoreboard; -1: none

	notify    *notifySource
	shim      *shimSource
	stderr    *stderrSource // nil with --stderr inherit
	keys      []int32       // of its sources in the poller
	goLibrary bool
	status    string // its own STATUS=

	leftBehind []string // processes of its group that were killed when it ended
}

// notifySource reads a worker's notify socket.
type notifySource struct {
	sock    *notify.Socket
	id      pool.ID
	uid     uint32
	pid     atomic.Int32 // set once the process exists
	in      *inbox
	queued  atomic.Int32  // messages that the loop has not taken yet
	dropped atomic.Uint64 // over the bound, unreadable, or from a stranger
}

// readable takes one datagram. The sender must have the worker's uid or be
// the worker itself: programs drop privileges of their own.
func (n *notifySource) readable(buf []byte) bool {
	size, cred, err := n.sock.Receive(buf[:notify.MaxMessage+1])
	switch {
	case err == unix.EAGAIN:
		return true
	case err == notify.ErrAbused:
		n.dropped.Add(1)
		return false
	case err != nil:
		n.dropped.Add(1)
		return true
	}
	if cred.Uid != n.uid && cred.Pid != n.pid.Load() {
		n.dropped.Add(1)
		return true
	}
	msg, err := notify.Parse(buf[:size])
	if err != nil || n.queued.Load() >= maxQueued {
		n.dropped.Add(1)
		return true
	}
	n.queued.Add(1)
	n.in.put(fromWorker{id: n.id, message: &msg, busy: ipc.ParseBusy(buf[:size])})
	return true
}

// report takes a line of a helper's stderr that begins with a priority, as
// sd-daemon(3) has it. Any other is not taken: a crash says a lot at once.
func (n *notifySource) report(line []byte) (taken bool) {
	if priority, rest := linePriority(line); len(rest) == len(line) || len(rest) == 0 || priority > 7 {
		return false
	}
	if n.queued.Load() >= maxQueued {
		n.dropped.Add(1)
		return true
	}
	n.queued.Add(1)
	n.in.put(fromWorker{id: n.id, report: string(line)})
	return true
}

// taken says that the loop has one of p's messages.
func (p *proc) taken() { p.notify.queued.Add(-1) }

// shimSource reads the shim's pipe: an error text and its end, or the end
// alone, which execve(2) makes.
type shimSource struct {
	fd  int
	id  pool.ID
	in  *inbox
	err []byte
}

const maxShimError = 4096

func (s *shimSource) readable(buf []byte) bool {
	n, err := unix.Read(s.fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return true
	case n > 0:
		s.err = append(s.err, buf[:min(n, maxShimError-len(s.err))]...)
		return true
	}
	if len(s.err) == 0 {
		s.in.put(fromWorker{id: s.id, executed: true})
	}
	return false
}

// evidence is what the end of a worker can be explained by: the shim's error,
// else the last lines that it wrote to stderr. Call it after release.
func (p *proc) evidence() string {
	if len(p.shim.err) > 0 {
		return string(p.shim.err)
	}
	if p.stderr == nil {
		return ""
	}
	return lastLines(p.stderr.tail, evidenceLines)
}

// evidenceLines is how many of the last lines explain an end. The cause is
// rarely the very last: gunicorn says three lines more behind the exception.
const evidenceLines = 6

// lastLines gives the last few lines that are not blank, on one line.
func lastLines(text []byte, n int) string {
	lines := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	var kept []string
	for i := len(lines) - 1; i >= 0 && len(kept) < n; i-- {
		if l := strings.TrimSpace(lines[i]); l != "" {
			kept = append([]string{l}, kept...)
		}
	}
	return clean(strings.Join(kept, " | "), 1000)
}

// clean makes text from outside fit for one line of a log, a status or a
// terminal: control characters and what is not UTF-8 become "?", and the end
// is cut.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfffd {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[len(text)-limit:], "")
		text = "..." + text
	}
	return text
}

// poke writes a byte of the lifeline's protocol, without waiting: a worker
// that has not read a page of them has enough to do.
func (p *proc) poke(b byte) {
	if p.lifeline >= 0 {
		_, _ = unix.Write(p.lifeline, []byte{b})
	}
}

// signal goes to the worker's own process, by pidfd: never to a pid that
// somebody else has got meanwhile.
func (p *proc) signal(sig unix.Signal) error {
	return unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
}

// release reads what is left of p's output, gives all its descriptors back
// and takes it off the tables.
func (m *master) release(p *proc) {
	for _, key := range p.keys {
		m.poll.remove(key, 16)
	}
	if p.stderr != nil {
		p.stderr.flush()
		_ = unix.Close(p.stderr.fd)
	}
	if p.shim.fd >= 0 {
		_ = unix.Close(p.shim.fd)
	}
	_ = unix.Close(p.pidfd)
	_ = unix.Close(p.lifeline)
	p.lifeline = -1
	_ = p.notify.sock.Close()
	m.counts.Notifications += p.notify.dropped.Load()
	if p.cell >= 0 {
		m.retire(p)
	}
	delete(m.procs, p.id)
	delete(m.helpers, p.id)
	delete(m.fresh, p.id)
	delete(m.pids, p.pid)
	delete(m.store.ids, p.storeID)
}
