// Package helper is what a pool runs beside its workers: a process of this
// program's own that the master starts, watches and replaces, and that does
// what the master must not do, since it parses what strangers send.
//
//	os.Exit(helper.Store(args, version, os.Stderr)) // in the process that the master has executed
//
// The store helper serves the store to programs that are not Go workers, as a
// Redis server does, and keeps the store's file. It has what a worker has: a
// lifeline, a notify socket, an id in the store. Whatever becomes of it, the
// listener and the store stay, and the next one goes on.
package helper
