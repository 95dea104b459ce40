package master

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// readSize is how much the poller reads at once. One buffer serves all.
const readSize = 64 << 10

// source is a descriptor that the poller reads for the loop.
type source interface {
	// readable reads what is there, once. more says that it goes on; after
	// false the poller no longer watches it.
	readable(buf []byte) (more bool)
}

// poller reads the workers' pipes and notify sockets in one goroutine over
// one epoll: thousands of workers cost no thread each. The loop adds and
// removes sources; a removed one is never read again.
type poller struct {
	epfd int
	wake int // eventfd that ends the wait

	mu      sync.Mutex // held while sources are read
	sources map[int32]watched
	next    int32
	buf     []byte
	ended   chan struct{}
}

type watched struct {
	fd  int
	src source
}

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &poller{epfd: epfd, wake: wake, sources: map[int32]watched{}, buf: make([]byte, readSize), ended: make(chan struct{})}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 0}); err != nil {
		_ = unix.Close(epfd)
		_ = unix.Close(wake)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	go p.run()
	return p, nil
}

// run waits and reads until close. Events carry a key, not a descriptor: one
// that was removed meanwhile is not found, whatever its number is now.
func (p *poller) run() {
	defer close(p.ended)
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(p.epfd, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(fmt.Sprintf("master: epoll_wait: %v", err)) // EBADF, EFAULT, EINVAL: a bug of ours
		}
		for _, e := range events[:n] {
			if e.Fd == 0 {
				return
			}
			p.read(e.Fd)
		}
	}
}

func (p *poller) read(key int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.sources[key]
	if ok && !w.src.readable(p.buf) {
		p.forget(key)
	}
}

// add watches fd for src; the caller keeps fd, and removes it before closing.
func (p *poller) add(fd int, src source) (key int32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.next++
		if p.next <= 0 {
			p.next = 1
		}
		if _, taken := p.sources[p.next]; !taken {
			break
		}
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: p.next}
	if err := unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return 0, fmt.Errorf("epoll_ctl: %w", err)
	}
	p.sources[p.next] = watched{fd, src}
	return p.next, nil
}

// remove reads what is left, at most rounds times, and stops watching.
func (p *poller) remove(key int32, rounds int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.sources[key]
	if !ok {
		return
	}
	for range rounds {
		if !w.src.readable(p.buf) || !pending(w.fd) {
			break
		}
	}
	p.forget(key)
}

// forget is called with mu held.
func (p *poller) forget(key int32) {
	w := p.sources[key]
	delete(p.sources, key)
	_ = unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, w.fd, nil)
}

func pending(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&unix.POLLIN != 0
}

// close ends the goroutine and waits for it.
func (p *poller) close() {
	if _, err := unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		<-p.ended
	}
	_ = unix.Close(p.epfd)
	_ = unix.Close(p.wake)
}
