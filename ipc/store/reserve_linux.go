package store

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

// reserve has the whole segment in memory before anything is written to it. A
// page that is missing later is a SIGBUS, and one that the memory cgroup does
// not grant an OOM kill, fallocate(2) included: so the limit is read first.
// One process does it; the others wait, and take over from one that died. From
// one that lives and gets nowhere (it is stopped) nothing is taken: whoever has
// waited for 1.5 s does it too, which does no harm.
func (e *Embedded) reserve(fd int) error {
	mine := e.id << 1
	since, seen := time.Now(), int64(-1)
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
		switch got, err := allocated(fd); {
		case err != nil:
			return err
		case got != seen:
			since, seen = time.Now(), got
		case time.Since(since) > starved:
			if err := e.allocate(fd); err != nil {
				return err
			}
			e.m.put(hReserved, 1)
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
	// What others had from the kernel before they died or were stopped is in
	// use already.
	had, err := allocated(fd)
	if err != nil {
		return err
	}
	if room.known && size > (room.left+had)/2 {
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

// allocated gives how many bytes of memory a segment has.
func allocated(fd int) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Blocks * 512, nil
}

const allocateStep = 8 << 20

func mebi(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
