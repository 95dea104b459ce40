package master

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ids are the identities to take, as the kernel wants them. They are taken by
// system calls of this one thread: the all-threads calls of package syscall
// need signal handlers, and execve(2) keeps no other thread anyway.
type ids struct {
	take     bool
	uid, gid int
	groups   []uint32
}

func newIDs(p *plan) ids {
	d := ids{take: p.Drop, uid: p.UID, gid: p.GID, groups: make([]uint32, len(p.Groups), len(p.Groups)+1)}
	for i, g := range p.Groups {
		d.groups[i] = uint32(g)
	}
	return d
}

// drop takes groups, gid, uid in this order, since each needs rights that the
// next one gives away, and then forbids new rights for good.
func (d ids) drop() error {
	if !d.take {
		return nil
	}
	list := unsafe.Pointer(unsafe.SliceData(d.groups))
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(d.groups)), uintptr(list), 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	gid := uintptr(d.gid)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); e != 0 {
		return fmt.Errorf("setresgid %d: %w", d.gid, e)
	}
	uid := uintptr(d.uid)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
		return fmt.Errorf("setresuid %d: %w", d.uid, e)
	}
	if _, _, e := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", e)
	}
	return nil
}

// sigaction is struct sigaction of the kernel on 64-bit Linux: handler,
// flags, restorer, mask. The largest of all ports is used; SIG_DFL is all
// zeroes in each.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	sigIgnore  = 1
	sigSetMask = 2 // SIG_SETMASK of asm-generic/signal-defs.h
	maskSize   = 8 // sizeof(sigset_t) of the kernel
)

// defaultSignals sets signals that are ignored back to their default, since
// execve(2) resets only those that have a handler (nohup would leave the
// workers deaf to HUP, a shell's background job to INT), and empties the
// signal mask.
func defaultSignals() error {
	for n := 1; n <= maxSignal; n++ {
		var old sigaction
		_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), 0, uintptr(unsafe.Pointer(&old)), maskSize, 0, 0)
		if e != 0 || old.handler != sigIgnore {
			continue
		}
		var def sigaction
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&def)), 0, maskSize, 0, 0); e != 0 {
			return fmt.Errorf("rt_sigaction %d: %w", n, e)
		}
	}
	var none uint64
	if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&none)), 0, maskSize, 0, 0); e != 0 {
		return fmt.Errorf("rt_sigprocmask: %w", e)
	}
	return nil
}
