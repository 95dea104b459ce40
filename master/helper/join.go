package helper

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/ipc/notify"
)

// place is what the master has given to this process.
type place struct {
	listener int // descriptor
	store    int
	lifeline *os.File
	id       uint64
	drain    time.Duration // of the workers
	notify   *notify.Sender

	file string // of the store; "" none
	load bool   // nobody has used the store yet

	told chan os.Signal
}

// join takes what the master has given, as a worker does: the descriptors are
// not passed on, the variables are unset.
func join(args []string) (*place, error) {
	p := &place{listener: ipc.ListenFDStart}
	flags := flag.NewFlagSet("store helper", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&p.file, "file", "", "")
	flags.BoolVar(&p.load, "load", false, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if os.Getenv(ipc.EnvListenPID) != strconv.Itoa(os.Getpid()) || os.Getenv(ipc.EnvListenFDs) != "1" {
		return nil, errors.New("a master starts the store helper, and nobody else does")
	}
	fds, err := ipc.ParseFDs(os.Getenv(ipc.EnvFDs))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{ipc.FDLifeline, ipc.FDStore} {
		if _, ok := fds[name]; !ok {
			return nil, fmt.Errorf("%s has no %s", ipc.EnvFDs, name)
		}
	}
	unix.CloseOnExec(p.listener)
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	p.store = fds[ipc.FDStore]
	p.lifeline = os.NewFile(uintptr(fds[ipc.FDLifeline]), "lifeline")
	if p.id, err = strconv.ParseUint(os.Getenv(ipc.EnvID), 10, 63); err != nil {
		return nil, fmt.Errorf("%s: %w", ipc.EnvID, err)
	}
	if p.drain, err = ipc.ParseSeconds(os.Getenv(ipc.EnvDrainTimeout)); err != nil {
		return nil, fmt.Errorf("%s: %w", ipc.EnvDrainTimeout, err)
	}
	if p.notify, err = notify.Open(os.Getenv(ipc.EnvNotifySocket)); err != nil {
		return nil, err
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PREFORK_") || strings.HasPrefix(name, "LISTEN_") || name == ipc.EnvNotifySocket {
			if err := os.Unsetenv(name); err != nil {
				return nil, err
			}
		}
	}
	p.told = make(chan os.Signal, 1)
	signal.Notify(p.told, unix.SIGTERM)
	// One that is sent to all processes of this name is not meant for it, and
	// a full stderr without a reader is no reason to end.
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE)
	return p, nil
}

// masterGone is closed when the lifeline ends; its bytes are for workers that
// accept.
func (p *place) masterGone() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, p.lifeline)
	}()
	return gone
}
