package shm

import (
	"encoding/binary"
	"errors"
)

// ErrForeign says that a descriptor is not the segment that was asked for:
// unsealed, of another size or with another magic number.
var ErrForeign = errors.New("shm: not the segment that was expected")

// ErrVersion says that a descriptor is the segment that was asked for, in a
// layout of another version: the two programs cannot share it.
var ErrVersion = errors.New("shm: another version of the layout")

// versionBits of the magic number, the lowest, are the layout's version.
const versionBits = 16

// wordSize is the unit of access, in bytes. Everything in a segment is
// aligned to it: a 64-bit atomic needs that on every architecture.
const wordSize = 8

// Segment is one mapped memfd. Word may be called by any goroutine; Unmap
// and Close only when no other one uses the segment any more.
type Segment struct {
	fd      int // -1 in a worker, which keeps no descriptor of it
	mem     []byte
	private bool // mem is the Go heap's
}

// Load copies bytes out of the segment, from an offset that is a multiple of
// 8, a word at a time.
func (s *Segment) Load(into []byte, offset int) {
	var word [wordSize]byte
	for len(into) > 0 {
		binary.NativeEndian.PutUint64(word[:], s.Word(offset).Load())
		into = into[copy(into, word[:]):]
		offset += wordSize
	}
}

// Store copies bytes into the segment, from an offset that is a multiple of
// 8, a word at a time; the last word is filled up with zeros.
func (s *Segment) Store(offset int, from []byte) {
	for len(from) > 0 {
		var word [wordSize]byte
		from = from[copy(word[:], from):]
		s.Word(offset).Store(binary.NativeEndian.Uint64(word[:]))
		offset += wordSize
	}
}

// Size gives the segment's length in bytes.
func (s *Segment) Size() int { return len(s.mem) }

// FD gives the descriptor that a worker is to inherit; it stays the
// segment's. -1 where the segment was opened from somebody else's.
func (s *Segment) FD() int { return s.fd }
