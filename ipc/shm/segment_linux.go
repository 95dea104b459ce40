package shm

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// seals are what every segment has: its size is final, and so are the seals.
// F_SEAL_WRITE is not among them, as every process writes its own part.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Create makes a segment of size bytes, all zero but the magic number in its
// first word, and maps it. The name is for people (/proc/PID/fd, /proc/PID/maps).
// The descriptor is CLOEXEC. The caller ends it with Close.
func Create(name string, magic uint64, size int) (*Segment, error) {
	s, err := create(name, magic, size)
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", name, err)
	}
	return s, nil
}

func create(name string, magic uint64, size int) (*Segment, error) {
	if size < wordSize || size%os.Getpagesize() != 0 {
		return nil, fmt.Errorf("%d bytes is not a whole number of pages", size)
	}
	fd, err := memfd("prefork-" + name)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	s := &Segment{fd: fd}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, errors.Join(os.NewSyscallError("ftruncate", err), s.Close())
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl F_ADD_SEALS", err), s.Close())
	}
	if err := s.mmap(fd, size); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Word(0).Store(magic)
	return s, nil
}

// memfd asks for a file that can never be executed; Linux before 6.3 does not
// know the flag and answers EINVAL.
func memfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

// Open maps the segment behind a descriptor after it has looked at the seals,
// the size and the magic number; ErrForeign says that one of them is wrong,
// ErrVersion that another layout of the same segment is there. A size of 0
// takes any. The descriptor stays the caller's, who may close it: the mapping
// holds.
func Open(fd int, magic uint64, size int) (*Segment, error) {
	s, err := open(fd, magic, size)
	if err != nil {
		return nil, fmt.Errorf("open segment at descriptor %d: %w", fd, err)
	}
	return s, nil
}

func open(fd int, magic uint64, size int) (*Segment, error) {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	switch {
	case err == unix.EINVAL:
		return nil, fmt.Errorf("%w: no file that can be sealed", ErrForeign)
	case err != nil:
		return nil, os.NewSyscallError("fcntl F_GET_SEALS", err)
	case have&seals != seals:
		return nil, fmt.Errorf("%w: seals %#x, want %#x", ErrForeign, have, seals)
	}
	// Sealed: what is seen of the size now stays true.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	switch {
	case size == 0 && st.Size >= int64(os.Getpagesize()) && st.Size <= math.MaxInt && st.Size%wordSize == 0:
		size = int(st.Size)
	case st.Size != int64(size):
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrForeign, st.Size, size)
	}
	s := &Segment{fd: -1}
	if err := s.mmap(fd, size); err != nil {
		return nil, err
	}
	switch got := s.Word(0).Load(); {
	case got == magic:
	case got>>versionBits == magic>>versionBits:
		const version = 1<<versionBits - 1
		return nil, errors.Join(fmt.Errorf("%w: %d, this program knows %d", ErrVersion, got&version, magic&version), s.Unmap())
	default:
		return nil, errors.Join(fmt.Errorf("%w: magic number %#x, want %#x", ErrForeign, got, magic), s.Unmap())
	}
	return s, nil
}

func (s *Segment) mmap(fd, size int) error {
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	s.mem = mem
	// A core dump is no place for what sessions hold.
	if err := unix.Madvise(mem, unix.MADV_DONTDUMP); err != nil {
		return errors.Join(os.NewSyscallError("madvise", err), s.Unmap())
	}
	return nil
}

// Unmap takes the memory away; a Word that is used after it is a crash.
func (s *Segment) Unmap() error {
	mem := s.mem
	s.mem = nil
	if mem == nil || s.private {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(mem))
}

// Close unmaps the segment and closes its descriptor. The memory goes with
// the last process that has it.
func (s *Segment) Close() error {
	err := s.Unmap()
	if s.fd >= 0 {
		err = errors.Join(err, os.NewSyscallError("close", unix.Close(s.fd)))
		s.fd = -1
	}
	return err
}
