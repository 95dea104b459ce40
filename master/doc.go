// Package master is the supervisor: it binds the sockets, starts N workers
// that share them, and keeps them running, reloaded, scaled and stopped as
// DESIGN.md says. Run is the whole of it.
//
// One goroutine, locked to the main thread, owns the state (type master). It
// waits for signals, for what the poller read (notify datagrams, stderr, the
// shim's pipes), for control calls and for one timer, hands each to the pure
// core in internal/pool, and carries out what comes back. It never waits for
// a worker, a client or its own output.
//
// The main thread matters: fork and the parent-death signal are a thread's
// matter (prctl(2), PR_SET_PDEATHSIG), and the main thread is the one that
// lives as long as the process.
//
// # Exit codes
//
//	0  stopped as asked
//	1  runtime failure
//	2  usage
//	3  the first generation never became ready
//	4  bad config
package master

import _ "prefork/master/internal/linuxonly"
