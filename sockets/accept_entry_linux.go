package sockets

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errNoEntry says that Go's poller does not hold a listener as expected.
var errNoEntry = errors.New("no entry in the runtime's epoll")

// runtimeEvents is how Go's poller registers every descriptor
// (runtime/netpoll_epoll.go, netpollopen), with the two events that the kernel
// adds to any (epoll_ctl(2)). EPOLLEXCLUSIVE is never among them.
const runtimeEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET | unix.EPOLLERR | unix.EPOLLHUP

// entry is the registration of a listener in the epoll instance that Go's
// poller waits in, made anew with EPOLLEXCLUSIVE: the runtime's own thread is
// the waiter, so a wake-up costs no second thread and no hand-over.
//
// The runtime does not tell where its instance is or what its events carry.
// The kernel does: /proc/self/fdinfo of an epoll descriptor has a line for each
// registration with its data word (proc(5)), which is put back as it was found.
// Nothing is assumed about its meaning. When it is not found, there is no entry.
//
// A second epoll instance nested in the runtime's would not do: a wake-up that
// only passes on to an outer instance is not counted as taken (fs/eventpoll.c,
// ep_poll_callback: ewake is set for a direct waiter alone), so the kernel wakes
// the next process too, and all of them in the end.
type entry struct {
	epfd, fd int
	event    unix.EpollEvent
}

// findEntry finds the registration of fd and takes it out: nothing waits on
// fd until add.
func findEntry(fd int) (*entry, error) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoEntry, err)
	}
	var found *entry
	for _, name := range names {
		if to, err := os.Readlink("/proc/self/fd/" + name.Name()); err != nil || to != "anon_inode:[eventpoll]" {
			continue
		}
		epfd, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		data, ok, err := readEntry(epfd, fd)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoEntry, err)
		}
		if !ok {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: descriptor %d is in more than one", errNoEntry, fd)
		}
		found = &entry{epfd: epfd, fd: fd, event: unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLET | unix.EPOLLEXCLUSIVE,
			Fd:     int32(uint32(data)),
			Pad:    int32(uint32(data >> 32)),
		}}
	}
	if found == nil {
		return nil, errNoEntry
	}
	return found, found.remove()
}

func readEntry(epfd, fd int) (data uint64, ok bool, err error) {
	f, err := os.Open("/proc/self/fdinfo/" + strconv.Itoa(epfd))
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if at, events, data, ok := parseEntry(lines.Text()); ok && at == fd && events == runtimeEvents {
			return data, true, nil
		}
	}
	return 0, false, lines.Err()
}

// parseEntry reads a line of an epoll descriptor's fdinfo:
//
//	tfd:        5 events: 8000201d data: 7f1f2c3d4e5f6071  pos:0 ino:61af sdev:7
func parseEntry(line string) (fd int, events uint32, data uint64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || f[0] != "tfd:" || f[2] != "events:" || f[4] != "data:" {
		return 0, 0, 0, false
	}
	fd, err := strconv.Atoi(f[1])
	if err != nil || fd < 0 {
		return 0, 0, 0, false
	}
	ev, err := strconv.ParseUint(f[3], 16, 32)
	if err != nil {
		return 0, 0, 0, false
	}
	data, err = strconv.ParseUint(f[5], 16, 64)
	return fd, uint32(ev), data, err == nil
}

// add joins the queue at its tail. Connections that wait already are an event
// at once.
func (e *entry) add() error {
	if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_ADD, e.fd, &e.event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

func (e *entry) remove() error {
	if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_DEL, e.fd, nil); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}
