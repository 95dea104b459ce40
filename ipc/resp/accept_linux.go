package resp

import (
	"os"

	"golang.org/x/sys/unix"
)

// acceptBatch is how many clients one turn takes, so that a storm of new ones
// does not starve those that are there.
const acceptBatch = 64

// accept takes clients that wait at the listener. Once the end has begun they
// are left to whoever listens next.
func (l *loop) accept() error {
	for range acceptBatch {
		if !l.accepting {
			return nil
		}
		fd, _, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
			// The listener stays ready: it is watched again after a pause, or
			// epoll would spin.
			l.pause()
			return nil
		default:
			return os.NewSyscallError("accept4", err)
		}
		if len(l.clients) >= l.o.MaxClients {
			l.server.refused++
			_, _ = unix.Write(fd, []byte("-ERR max number of clients reached\r\n"))
			_ = unix.Close(fd)
			continue
		}
		if err := l.add(fd); err != nil {
			_ = unix.Close(fd)
			l.pause()
			return nil
		}
	}
	return nil
}

// add makes a client of a socket.
func (l *loop) add(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = &conn{client: l.join(fd), events: unix.EPOLLIN}
	return nil
}

// pause takes the listener out of epoll.
func (l *loop) pause() {
	if l.accepting {
		l.accepting = false
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.listener, nil)
	}
}

// resume puts the listener back, unless the end has begun.
func (l *loop) resume() {
	if l.accepting || !l.stopping.IsZero() {
		return
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.listener)}
	l.accepting = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.listener, &e) == nil
}
