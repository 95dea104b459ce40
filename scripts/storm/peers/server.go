package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"prefork/scripts/storm/load"
)

const (
	readyWithin = 30 * time.Second
	endWithin   = 15 * time.Second
)

// Peer is one server, and how to run it in the foreground.
type Peer struct {
	Name   string
	Reload syscall.Signal
	Stop   syscall.Signal
	// Prepare writes its files into a folder and gives the command that
	// serves /ok on an address with a number of workers. An error says what
	// is missing.
	Prepare func(dir, address string, workers int) ([]string, error)
}

// server is a peer that runs.
type server struct {
	address string
	cmd     *exec.Cmd
	output  *os.File
	ended   chan struct{}
}

// start runs a peer until it answers. The caller stops it.
func (p Peer) start(ctx context.Context, dir string, workers int) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args, err := p.Prepare(dir, address, workers)
	if err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	s := &server{address: address, cmd: exec.Command(args[0], args[1:]...), output: output, ended: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Stdout, s.cmd.Stderr = output, output
	// A group of its own: whatever it leaves can be ended with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended is in its output
	}()
	if err := s.answers(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, s.lastLines()), s.stop(syscall.SIGKILL))
	}
	return s, nil
}

// freeAddress finds a port that nobody has. Another program may take it
// before the peer does, which the peer then says; httpd takes no socket that
// is open already.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers waits until the server answers.
func (s *server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		r, err := load.Run(ctx, load.Config{Target: s.address, Path: "/ok", Fresh: 1}, 20*time.Millisecond)
		if err != nil {
			return err
		}
		if r.Requests > r.Failed {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("it ended before it answered")
		case <-ctx.Done():
			return fmt.Errorf("no good answer within %v; the last was %v", readyWithin, r.Errors[len(r.Errors)-1])
		default:
		}
	}
}

// stop ends the server and all that it started.
func (s *server) stop(signal syscall.Signal) error {
	_ = s.cmd.Process.Signal(signal)
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	var err error
	select {
	case <-s.ended:
	case <-timer.C:
		err = fmt.Errorf("it did not end within %v of %v", endWithin, signal)
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // ESRCH: nothing is left
	<-s.ended
	return errors.Join(err, s.output.Close())
}

func (s *server) lastLines() string {
	text, err := os.ReadFile(s.output.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
