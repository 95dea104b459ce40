//go:build !linux

package sockets

import (
	"errors"
	"fmt"
	"runtime"
)

// What needs the kernel is Linux's. A program that is developed elsewhere
// runs without a master and listens with package net.

func unsupported(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// Listen is for Linux.
func Listen(a Addr) (*Socket, error) { return nil, unsupported("listen " + a.String()) }

// Lock is for Linux.
func Lock(path string) (release func(), err error) { return nil, unsupported("lock " + path) }

// Passed is for Linux.
func Passed() ([]*Socket, error) { return Inherited() }

// Inherited returns nothing where nothing is passed to this process.
func Inherited() ([]*Socket, error) {
	names, err := passedNames()
	if err == nil && len(names) > 0 {
		err = unsupported("adopt sockets")
	}
	return nil, err
}

// Overflows is for Linux.
func Overflows() (uint64, error) { return 0, unsupported("read overflows") }

// Apply is for Linux.
func (s *Socket) Apply(Options) error { return unsupported("apply options") }

// SetBlocking is for Linux.
func (s *Socket) SetBlocking() error { return unsupported("make a socket blocking") }

// CloseDoor is for Linux.
func (s *Socket) CloseDoor() error { return unsupported("close a door") }

// OpenDoor is for Linux.
func (s *Socket) OpenDoor() error { return unsupported("open a door") }

// Shutdown is for Linux.
func (s *Socket) Shutdown() error { return unsupported("shut a socket down") }

// Queued is for Linux.
func (s *Socket) Queued() (bool, error) { return false, unsupported("look at a queue") }

// Depth is for Linux.
func (s *Socket) Depth() (queue, backlog int, err error) { return 0, 0, unsupported("read a queue") }

// SynRecv is for Linux.
func (s *Socket) SynRecv() (bool, error) { return false, unsupported("look for handshakes") }

// Close is for Linux.
func (s *Socket) Close() error { return unsupported("close a socket") }
