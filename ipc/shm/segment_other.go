//go:build !linux

package shm

import "errors"

// Create is for Linux.
func Create(string, uint64, int) (*Segment, error) { return nil, errors.ErrUnsupported }

// Open is for Linux.
func Open(int, uint64, int) (*Segment, error) { return nil, errors.ErrUnsupported }

// Unmap has nothing to do.
func (s *Segment) Unmap() error { return nil }

// Close has nothing to do.
func (s *Segment) Close() error { return nil }
