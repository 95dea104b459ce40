//go:build faults

package faults

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Dialer gives a function that connects from within the machine, whose
// loopback the host cannot reach. A socket belongs to the network namespace of
// the thread that made it (network_namespaces(7)), so that threads which have
// entered the machine's connect, and the connections are used as any other.
func (m *Machine) Dialer(t testing.TB, network, addr string, threads int) func() (net.Conn, error) {
	t.Helper()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.PID))
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan chan<- dialed)
	entered := make(chan error, threads)
	for range threads {
		go func() {
			// Never unlocked: the thread ends with the goroutine and serves nobody else.
			runtime.LockOSThread()
			err := enter(ns)
			entered <- err
			if err != nil {
				return
			}
			for answer := range requests {
				// With one literal address the dialer makes the socket in this goroutine.
				c, err := net.DialTimeout(network, addr, Patience)
				answer <- dialed{c, err}
			}
		}()
	}
	for range threads {
		if e := <-entered; e != nil {
			err = e
		}
	}
	_ = ns.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(requests) })
	return func() (net.Conn, error) {
		answer := make(chan dialed, 1)
		requests <- answer
		d := <-answer
		return d.conn, d.err
	}
}

type dialed struct {
	conn net.Conn
	err  error
}

// enter moves this thread into a network namespace.
func enter(ns *os.File) error {
	raw, err := ns.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.Setns(int(fd), unix.CLONE_NEWNET) }); err != nil {
		return err
	}
	return os.NewSyscallError("setns", serr)
}
