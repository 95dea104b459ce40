package master

import (
	"bytes"

	"golang.org/x/sys/unix"
)

const (
	tailSize    = 8 << 10 // of a worker's stderr, kept for a verdict
	partialSize = 8 << 10 // of a line that has not ended, before it is passed on all the same
)

// stderrSource reads the pipe that is a worker's stderr, passes whole lines
// on unchanged, and keeps the end of them.
type stderrSource struct {
	fd      int
	slot    int
	out     *output
	lines   func(line []byte) (taken bool) // of a helper, nil else; what it does not take is passed on
	tail    []byte
	partial []byte
}

func (s *stderrSource) readable(buf []byte) bool {
	n, err := unix.Read(s.fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return true
	case n <= 0:
		return false
	}
	s.keep(buf[:n])
	s.pass(buf[:n])
	return true
}

func (s *stderrSource) keep(p []byte) {
	if len(p) >= tailSize {
		s.tail = append(s.tail[:0], p[len(p)-tailSize:]...)
		return
	}
	if over := len(s.tail) + len(p) - tailSize; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	s.tail = append(s.tail, p...)
}

// pass hands on what ends with a newline; the rest waits for its own, so that
// lines of two workers do not mix.
func (s *stderrSource) pass(p []byte) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 && len(s.partial)+len(p) < partialSize {
		s.partial = append(s.partial, p...)
		return
	}
	if end == 0 {
		end = len(p)
	}
	if s.lines != nil {
		s.reports(append(s.partial, p[:end]...))
	} else {
		s.out.lines(s.slot, s.partial, p[:end])
	}
	s.partial = append(s.partial[:0], p[end:]...)
}

// reports hands on the lines of a helper, one by one.
func (s *stderrSource) reports(text []byte) {
	for line := range bytes.Lines(text) {
		if !s.lines(bytes.TrimRight(line, "\n")) {
			s.out.lines(s.slot, line, nil)
		}
	}
}

// flush passes on a last line without a newline, with one.
func (s *stderrSource) flush() {
	if len(s.partial) > 0 {
		s.out.lines(s.slot, s.partial, []byte{'\n'})
		s.partial = nil
	}
}
