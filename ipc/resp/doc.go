// Package resp serves a store.Store as a Redis server does, over a Unix socket
// in RESP2 and RESP3, so that any language reaches what the Go workers share.
//
//	err := resp.Serve(ctx, listener, s, resp.Options{Version: "1.0"})
//
// # One thread
//
// Serve is one loop over epoll on one locked thread; no goroutine belongs to a
// connection. The loop alone touches the clients, so nothing here has a lock.
// A turn of a client is bounded: one read, at most turnCommands commands, about
// turnOutput bytes of replies. What is left waits until every other client that
// is ready has had its turn.
//
// Of a pipeline up to aheadMost commands are parsed before the first of them
// runs, and a store that wants to know is told of their keys: it can read what
// all of them need at once, where one operation after the other waits for
// memory.
//
// # What a client can cost
//
// A client that is idle has no buffer. Nothing is allocated for a length that
// was only announced: buffers grow with the bytes that came, up to a bound for
// the input, one for the replies that wait to be read, and one for all clients
// together. Before a client has authenticated the bounds are small. See
// Options.
//
// # What it deliberately does not do
//
// Strings only; no transactions, no publish and subscribe, no replication, no
// Lua but for the scripts by which well-known libraries give back a lock (see
// scripts.go). Commands on several keys are not atomic over them. The commands,
// their replies and every known difference from Redis are in
// docs/reference/store-commands.md.
package resp
