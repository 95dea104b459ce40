package store

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// reserve has the whole segment in memory before anything is written to it. A
// page that is missing later is a SIGBUS, and one that the memory cgroup does
// not grant an OOM kill, fallocate(2) included: so the limit is read first.
// One process does it; the others wait, and take over from one that died.
func (e *Embedded) reserve(fd int) error {
	mine := e.id << 1
	for e.m.get(hReserved) == 0 {
		holder := e.m.get(hReserver)
		switch {
		case holder == 0 || holder != mine && !e.alive(holder>>1):
			if !e.m.cas(hReserver, holder, mine) {
				continue
			}
			err := e.allocate(fd)
			if err == nil {
				e.m.put(hReserved, 1)
			}
			e.m.put(hReserver, 0)
			shm.Wake(&e.m[hReserver], 1<<30)
			return err
		default:
			shm.Wait(&e.m[hReserver], holder, patience)
		}
	}
	return nil
}

func (e *Embedded) allocate(fd int) error {
	if e.m.get(hReserved) != 0 {
		return nil // by the one that was waited for
	}
	size := int64(len(e.m)) * 8
	room, err := cgroupRoom()
	if err != nil {
		return fmt.Errorf("reserve memory: %w", err)
	}
	// What one that died on the way had from the kernel is in use already.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if room.known && size > (room.left+st.Blocks*512)/2 {
		return fmt.Errorf("%w: the store has %s, and the memory cgroup %s leaves %s of %s: want a store of half of that at most",
			ErrNoMemory, FormatSize(size), room.path, mebi(room.left), mebi(room.limit))
	}
	// In parts: what a signal interrupts is done again (fallocate(2), EINTR).
	for at := int64(0); at < size; {
		n := min(size-at, allocateStep)
		switch err := unix.Fallocate(fd, 0, at, n); err {
		case nil:
			at += n
		case unix.EINTR:
		case unix.ENOSPC, unix.ENOMEM:
			return fmt.Errorf("%w: the store has %s, and the kernel gives no more than %s", ErrNoMemory, FormatSize(size), FormatSize(at))
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
	return nil
}

const allocateStep = 8 << 20

func mebi(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
