// Command storm puts a server under load, does harm to it, and records what
// became of every request. See -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: storm -target ADDRESS [flags]
       storm peers [flags]

Puts a server under load and reports every request that failed. Half of the
clients open a connection for each request, half POST 16 KiB on a kept one.

  go run ./scripts/storm -target 127.0.0.1:8080 -for 10s
  go run ./scripts/storm -target unix:/run/app.sock -open
  go run ./scripts/storm -target :8080 -fault reload=HUP@4711,count=20,every=1s
  go run ./scripts/storm -target :8080 -fault kill=kill:unix:/run/prefork/app.sock,count=200,every=50ms -log faults
  go run ./scripts/storm -target :8080 -fault kill=kill:unix:/run/prefork/app.sock -replay faults
  go run ./scripts/storm peers -reloads 12 -kills 12

A fault is NAME=ACTION[,count=N][,after=DUR][,every=DUR][,jitter=DUR]. Actions:
  HUP@PID                a signal to a process, the master
  run:COMMAND ARGS...    a command; its end is waited for
  kill:unix:PATH         SIGKILL of a random ready worker, asked of a control socket
  kill:COMMAND ARGS...   the same, of a command that prints "prefork status --json"
  kill:children@PID      SIGKILL of a random child of a process

The log has a line of JSON for each fault; -replay injects them again, at the
same times, with the -fault flags saying what each name does.

Exit code: 0 no request failed, but those of killed workers; 1 some did, or a
fault could not be injected; 2 wrong flags.

`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage says that flags are wrong, and that the message is out.
var errUsage = errors.New("wrong flags")

// errFailed says that requests failed, and that the report is out.
var errFailed = errors.New("requests failed")

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := storm
	if len(args) > 0 && args[0] == "peers" {
		command, args = comparePeers, args[1:]
	}
	switch err := command(ctx, args, stdout, stderr); {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errFailed):
		return 1
	default:
		fmt.Fprintln(stderr, "storm: error:", err)
		return 1
	}
}

// flagSet is empty but for the usage.
func flagSet(stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("storm", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	return fs
}

// parse reads flags alone; an error has been printed.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	if fs.NArg() > 0 {
		return usageError(fs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	return nil
}

func usageError(fs *flag.FlagSet, err error) error {
	fmt.Fprintf(fs.Output(), "storm: error: %v\nstorm: hint: storm -h\n", err)
	return errUsage
}
