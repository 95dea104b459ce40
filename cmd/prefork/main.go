// Command prefork runs any program as N processes that share listening
// sockets, and reloads them without losing a request.
//
// docs/reference/cli.md describes the commands and their exit codes,
// docs/reference/config.md the configuration.
package main

import (
	"os"
	"runtime"

	"prefork/master"
)

// The master forks and executes on the main thread, since a child gets its
// parent-death signal when the thread that forked it ends (prctl(2),
// PR_SET_PDEATHSIG), and the main thread lives as long as the process. Locking
// it in init is what keeps main on it: runtime.LockOSThread.
func init() { runtime.LockOSThread() }

func main() {
	master.Shim() // does not return in a worker that is about to be executed
	os.Exit(Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
