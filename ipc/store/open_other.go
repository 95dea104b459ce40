//go:build !linux

package store

import (
	"errors"
	"time"
)

// Create is for Linux.
func Create() (fd int, err error) { return -1, errors.ErrUnsupported }

// Open is for Linux; Private works everywhere.
func Open(int) (*Embedded, error) { return nil, errors.ErrUnsupported }

// fileLock has nothing to keep apart: there is only the private store.
type fileLock struct{}

var noLock fileLock

func (fileLock) acquire() error { return nil }
func (fileLock) release() error { return nil }
func (fileLock) close() error   { return nil }

var began = time.Now()

// boottime is the nearest that Go has: its monotonic clock.
func boottime() int64 { return int64(time.Since(began)) + 1 }
