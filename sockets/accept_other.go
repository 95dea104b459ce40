//go:build !linux

package sockets

import (
	"errors"
	"fmt"
)

// Accept is for Linux: other systems have no master to inherit from.
func Accept(fd int, _ AcceptOptions) (Listener, error) {
	return nil, fmt.Errorf("adopt listener on descriptor %d: %w", fd, errors.ErrUnsupported)
}
