package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"prefork/master/control"
)

const stopHelp = `stop ends a pool as TERM does: it takes no new work, lets its workers finish what
they have begun, and ends. The command waits until the master is gone.

Exit codes: 0 it is gone (with --no-wait: it has begun to stop), 1 it could not
be asked.`

func (p *program) stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop [NAME]",
		Short: "Drain all workers and end the pool",
		Long:  stopHelp,
		Example: `  prefork stop
  prefork stop --no-wait shop`,
		Args: atMost(1),
	}
	t := p.target(cmd)
	noWait := cmd.Flags().Bool("no-wait", false, "return as soon as the pool has begun to stop")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ctx, stop := interruptible()
		defer stop()
		c, err := t.find(ctx, first(args))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		gone := watch(c)
		defer gone.close()
		a, err := p.ask(ctx, c, control.Request{Command: control.CmdStop})
		if err != nil {
			return err
		}
		if *noWait {
			return p.say(a, "stopping")
		}
		if err := gone.wait(ctx); err != nil {
			return failed("the stop itself goes on", "stopped waiting")
		}
		return p.say(control.Answer{}, "stopped")
	}
	return cmd
}

// departure watches for the end of a master, by its pidfd: the pid itself may
// be another process' by then. A master that cannot be seen from here, as in
// another pid namespace, counts as gone at once.
type departure struct{ fd int }

// watch begins before the master is asked to stop: while it answers, the pid is
// its own.
func watch(c *control.Client) departure {
	pid, err := c.PeerPID()
	if err != nil || pid <= 0 {
		return departure{-1}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return departure{-1}
	}
	return departure{fd}
}

func (d departure) close() {
	if d.fd >= 0 {
		_ = unix.Close(d.fd)
	}
}

// wait returns when the process has ended; a pidfd is readable then:
// pidfd_open(2).
func (d departure) wait(ctx context.Context) error {
	if d.fd < 0 {
		return nil
	}
	var wake [2]int
	if err := unix.Pipe2(wake[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer func() { _ = unix.Close(wake[0]) }()
	stop := context.AfterFunc(ctx, func() { _ = unix.Close(wake[1]) })
	defer func() {
		if stop() {
			_ = unix.Close(wake[1])
		}
	}()
	for {
		fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(wake[0]), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case fds[0].Revents != 0:
			return nil
		case fds[1].Revents != 0:
			return ctx.Err()
		}
	}
}
