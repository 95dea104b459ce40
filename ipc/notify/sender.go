package notify

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrDropped says that the receiver's queue was full, so that the message is
// lost. Whoever must not lose it sends it again.
var ErrDropped = errors.New("notify: receiver's queue is full, message dropped")

// maxAddress is the longest address: sun_path has 108 bytes, and a NUL belongs
// to it, at the end of a path or at the start of an abstract name; unix(7).
const maxAddress = 107

// Sender sends messages to one notify socket. Its methods may be called from
// several goroutines and never wait, except Barrier. The nil Sender and one
// that was opened with the address "" send nothing and return no error.
type Sender struct {
	address string
	dropped atomic.Uint64

	mu sync.Mutex
	fd int // guarded by mu; -1: nothing to send to, or closed
}

// Open makes a sender for the value of NOTIFY_SOCKET: an absolute path,
// @name for an abstract socket, or "" for nobody. It does not connect: the
// receiver may come, go and come back. The caller closes it.
func Open(address string) (*Sender, error) {
	if address == "" {
		return &Sender{fd: -1}, nil
	}
	if err := checkAddress(address); err != nil {
		return nil, fmt.Errorf("open notify socket: %w", err)
	}
	fd, err := socket()
	if err != nil {
		return nil, fmt.Errorf("open notify socket: %w", err)
	}
	return &Sender{address: address, fd: fd}, nil
}

func checkAddress(address string) error {
	switch {
	case address[0] != '/' && address[0] != '@' || address == "@":
		return fmt.Errorf("address %q: want an absolute path or @name", address)
	case len(address) > maxAddress:
		return fmt.Errorf("address %q: %d bytes (max %d)", address, len(address), maxAddress)
	case strings.IndexByte(address, 0) >= 0:
		return fmt.Errorf("address %q: a NUL byte stands in it", address)
	}
	return nil
}

// Send sends the assignments as one message. An error of the kind ErrDropped
// was counted; every other one says that nobody is there to receive.
func (s *Sender) Send(lines ...string) error {
	if s == nil {
		return nil
	}
	message := strings.Join(lines, "\n")
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\x00") || strings.IndexByte(line, '=') < 1 {
			return fmt.Errorf("send notify message: %q is not one assignment", line)
		}
	}
	if message == "" || len(message) > MaxMessage {
		return fmt.Errorf("send notify message: %d bytes (want 1 to %d)", len(message), MaxMessage)
	}
	return s.send(message, nil)
}

// Dropped gives how many messages were lost because the queue was full.
func (s *Sender) Dropped() uint64 {
	if s == nil {
		return 0
	}
	return s.dropped.Load()
}

// Close ends the sender; what is sent after it goes nowhere.
func (s *Sender) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.fd
	s.fd = -1
	if fd < 0 {
		return nil
	}
	return closeSocket(fd)
}
