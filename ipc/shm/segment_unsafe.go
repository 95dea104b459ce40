package shm

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Word gives the 64-bit word at a byte offset. It is good until Unmap.
// Preconditions: the offset is a multiple of 8 and inside the segment; it is
// never one that was read from a segment without a check.
func (s *Segment) Word(offset int) *atomic.Uint64 {
	if offset < 0 || offset > len(s.mem)-wordSize || offset%wordSize != 0 {
		panic(fmt.Sprintf("shm: word at %d of %d bytes", offset, len(s.mem)))
	}
	// mmap(2) aligns the mapping to a page, the offset keeps that to a word.
	return (*atomic.Uint64)(unsafe.Pointer(&s.mem[offset]))
}

// Words gives the whole segment as words, in order. It is good until Unmap.
func (s *Segment) Words() []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(s.mem))), len(s.mem)/wordSize)
}

// Private makes a segment in this process' own memory, all zero: what Create
// makes, for a program that shares with nobody. It needs no Unmap.
func Private(magic uint64, size int) *Segment {
	// From words, so that the alignment is theirs.
	words := make([]uint64, size/wordSize)
	s := &Segment{fd: -1, private: true, mem: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)}
	s.Word(0).Store(magic)
	return s
}
