//go:build !linux

package store

import "errors"

// Segment is for Linux.
type Segment struct{}

// Options are for Linux.
type Options struct {
	ID   uint64
	Busy func(shard int, id uint64)
}

// Create is for Linux.
func Create(Config) (*Segment, error) { return nil, errors.ErrUnsupported }

// Open is for Linux; Private works everywhere.
func Open(int, Options) (*Embedded, error) { return nil, errors.ErrUnsupported }
