//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// storeLedger is what writers of the store have been told, outside of the
// store: a file that all of them map. Before a write a writer notes that it
// begins, after its acknowledgement that it was made; what a SIGKILL leaves is
// what it had noted (the page cache keeps what a process has stored).
//
// A lane is the part of one writer, which alone writes it while it lives.
// Words of the file:
//
//	word  meaning
//	0     1: writers rest
//	1-15  lane + 1 of who holds the named lock of that number
//	16    lanes, laneWords each: see the lane constants
type storeLedger struct{ words []atomic.Uint64 }

const (
	ledgerHead  = 16
	ledgerLanes = 64

	lanePID     = 0
	laneBeats   = 1 // operations acknowledged
	laneWrong   = 2 // what must never be was seen
	laneBusy    = 3 // operations that returned ErrBusy
	laneLongest = 4 // of an operation with its repetitions, nanoseconds
	laneFull    = 6 // operations that returned ErrFull
	laneResting = 5 // 1: it has seen that writers rest
	laneCounts  = 16
	laneCountsN = 16
	laneOwn     = laneCounts + 3*laneCountsN
	ownKeys     = 24
	laneWords   = laneOwn + 2*ownKeys
	ledgerSize  = 8 * (ledgerHead + ledgerLanes*laneWords)
)

// newStoreLedger makes an empty one.
func newStoreLedger(t testing.TB) (*storeLedger, string) {
	t.Helper()
	path := filepath.Join(tempDir(t), "ledger")
	if err := os.WriteFile(path, make([]byte, ledgerSize), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openStoreLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func openStoreLedger(path string) (*storeLedger, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // the mapping stays
	b, err := unix.Mmap(fd, 0, ledgerSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &storeLedger{unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[0])), len(b)/8)}, nil
}

// rest asks the writers to rest, or to go on.
func (l *storeLedger) rest(yes bool) {
	n := uint64(0)
	if yes {
		n = 1
	}
	l.words[0].Store(n)
}

// owner is the word of a named lock, 0 to 14.
func (l *storeLedger) owner(lock int) *atomic.Uint64 { return &l.words[1+lock] }

// lane is the part of one writer.
type lane struct {
	number int
	words  []atomic.Uint64
}

func (l *storeLedger) lane(n int) lane {
	at := ledgerHead + n*laneWords
	return lane{n, l.words[at : at+laneWords]}
}

// count is the book of one shared counter: how many steps were acknowledged,
// whether one is under way, and how many were under way when a writer died.
func (a lane) count(i int) (acked, pending, unknown *atomic.Uint64) {
	at := laneCounts + 3*i
	return &a.words[at], &a.words[at+1], &a.words[at+2]
}

// own is the book of a key that this lane alone writes: the number of the
// write that was begun last, and of the one acknowledged last.
func (a lane) own(i int) (intent, acked *atomic.Uint64) {
	at := laneOwn + 2*i
	return &a.words[at], &a.words[at+1]
}

// sum adds a word of so many lanes up.
func (l *storeLedger) sum(lanes, word int) uint64 {
	n := uint64(0)
	for i := range lanes {
		n += l.lane(i).words[word].Load()
	}
	return n
}

// openMemfd opens a memfd that a process has, by its name ("prefork-store"),
// for the caller to close.
func openMemfd(t testing.TB, pid int, name string) int {
	t.Helper()
	for _, fd := range fdNumbers(t, pid) {
		if link, err := os.Readlink(fd); err == nil && link == "/memfd:"+name+" (deleted)" {
			own, err := unix.Open(fd, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return own
		}
	}
	t.Fatalf("process %d has no %s", pid, name)
	return -1
}

// mapMemfd maps a memfd that a process has; the test's end takes it away.
func mapMemfd(t testing.TB, pid int, name string) []byte {
	t.Helper()
	fd := openMemfd(t, pid, name)
	defer func() { _ = unix.Close(fd) }()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(b) })
	return b
}

// flipBit changes one bit of a byte that others may use.
func flipBit(b []byte, at int, bit uint) {
	word := (*atomic.Uint32)(unsafe.Pointer(&b[at&^3]))
	mask := uint32(1) << (uint(at&3)*8 + bit)
	for {
		old := word.Load()
		if word.CompareAndSwap(old, old^mask) {
			return
		}
	}
}
