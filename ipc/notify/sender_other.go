//go:build !linux

package notify

import (
	"errors"
	"time"
)

func socket() (int, error) { return -1, errors.ErrUnsupported }

func closeSocket(int) error { return errors.ErrUnsupported }

func (s *Sender) send(string, []byte) error {
	if s.address == "" {
		return nil
	}
	return errors.ErrUnsupported
}

// Barrier is for Linux; a sender that sends nothing has nothing to wait for.
func (s *Sender) Barrier(time.Duration) error {
	if s == nil || s.address == "" {
		return nil
	}
	return errors.ErrUnsupported
}
