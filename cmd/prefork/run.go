package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"prefork/master"
)

const runHelp = `run starts a pool of workers and stays in the foreground until it is stopped.

The command is what stands after the flags, or the key "command" of the config
file. Flags beat environment variables (PREFORK_RUN_WORKERS=4), these beat the
file, and the file beats the default. A reload reads the file again.

Signals: HUP reloads, TERM and INT stop (a second one hurries), QUIT kills,
TTIN and TTOU add and remove a worker.

Exit codes: 0 stopped as asked, 1 failed, 2 wrong flags, variables or no
command, 3 the first workers never became ready, 4 something in the file is
wrong.`

const runExample = `  # four workers, one port, any program that takes systemd's sockets
  prefork run -w 4 -l :8080 -- python3 worker.py

  # from a file, with one value changed
  prefork run -c /etc/prefork/shop.toml --log-level debug

  # behind a web server, as another user, with limits
  prefork run -w 8 -l 'unix:/run/shop.sock?mode=0660&group=www-data' \
      --user shop --rlimit as=512M --env RAILS_ENV=production -- ./shop

  # classic FastCGI on descriptor 0
  prefork run -w 4 -l :9000 --stdin-socket --env PHP_FCGI_MAX_REQUESTS=0 -- php-cgi`

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run [flags] -- command [args...]",
		Short:   "Start a pool and stay in the foreground",
		Long:    runHelp,
		Example: runExample,
	}
	read := settingFlags(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return p.runPool(newLoader(read(), p.environ, args))
	}
	return cmd
}

// startsPool says, at the first look, that the arguments are those of a command
// that ends in runPool. One that is missed, with flags before its name, has its
// signals a moment later.
func startsPool(args []string) bool {
	switch first(args) {
	case "run":
		return true
	case "demo":
		return !slices.Contains(args, demoWorkerArg) // a worker, which has signals of its own
	}
	return false
}

// takeSignals takes the master's signals, once: from then on a HUP or TERM is
// one to the pool, whether that is there already or not.
func (p *program) takeSignals() {
	if p.signals == nil {
		p.signals = master.TakeSignals()
	}
}

// runPool runs the pool that a loader describes, and sets the exit code. The
// first configuration is made here; the master makes those of its reloads.
func (p *program) runPool(l *loader) error {
	p.takeSignals()
	type loaded struct {
		config master.Config
		err    error
	}
	answer := make(chan loaded, 1)
	go func() {
		c, err := l.load()
		answer <- loaded{c, err}
	}()
	select {
	case s := <-p.signals.End():
		// What it reads may never come, and there is nothing to stop yet.
		_, _ = fmt.Fprintf(p.stderr, "prefork: stopped by %s before the pool began\n", unix.SignalName(s.(unix.Signal)))
		return nil
	case a := <-answer:
		if a.err != nil {
			return a.err
		}
		p.exit = master.Run(master.Options{
			Config:  a.config,
			Load:    l.load,
			Log:     func(out io.Writer, c master.Config) hclog.Logger { return newLog(out, p.stderr, c) },
			Stderr:  p.stderr,
			Signals: p.signals,
			Version: version(),
		})
		return nil
	}
}
