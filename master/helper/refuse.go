package helper

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/notify"
	"prefork/ipc/store"
)

func isDropped(err error) bool { return errors.Is(err, notify.ErrDropped) }

// retryEvery is how often a store that could not be opened is tried again,
// while clients come.
const retryEvery = time.Second

// refuse answers each client with the reason that there is no store, until the
// store can be opened or this process is told to stop: then it gives nil.
func (p *place) refuse(o store.Options, reason error) (*store.Embedded, error) {
	gone := p.masterGone()
	asks := make(chan int)
	done := make(chan struct{})
	defer close(done)
	go p.accept(asks, done)
	tried := time.Now()
	for {
		select {
		case <-p.told:
			return nil, nil
		case <-gone:
			return nil, nil
		case fd, ok := <-asks:
			if !ok {
				return nil, reason
			}
			answer(fd, reason)
			if now := time.Now(); now.Sub(tried) >= retryEvery {
				tried = now
				s, err := store.Open(p.store, o)
				if err == nil {
					return s, nil
				}
				reason = err
			}
		}
	}
}

// accept gives clients one by one until done.
func (p *place) accept(asks chan<- int, done <-chan struct{}) {
	defer close(asks)
	wait := []unix.PollFd{{Fd: int32(p.listener), Events: unix.POLLIN}}
	for {
		select {
		case <-done:
			return
		default:
		}
		if n, err := unix.Poll(wait, 100); n == 0 || err != nil {
			continue
		}
		fd, _, err := unix.Accept4(p.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EAGAIN || err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return
		}
		select {
		case asks <- fd:
		case <-done:
			_ = unix.Close(fd)
			return
		}
	}
}

// answer is all that a client gets: it fits any socket's buffer.
func answer(fd int, reason error) {
	text := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, reason.Error())
	_, _ = unix.Write(fd, []byte("-ERR "+text+"\r\n"))
	_ = unix.Close(fd)
}

// exists says that there is something at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
