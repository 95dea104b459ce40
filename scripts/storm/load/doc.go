// Package load is the client of storm: many connections, one thread, raw
// sockets, and a record of what became of every request.
//
//	l, err := load.Start(load.Config{Target: "127.0.0.1:8080"})
//	l.Mark("reload")       // now
//	r := l.Stop()          // finishes what is under way
//	if r.Failed != 0 { fmt.Println(r.Summary()) }
//
// Half of the clients open a connection for each request (GET, with
// "Connection: close"), half keep theirs and POST a body. They behave as an
// HTTP/1.1 client must: a connection that was announced as closing is not used
// again, one that was closed while idle is opened anew. Nothing is ever sent
// twice: a request that fails is an error in the result, with the phase in
// which it failed and what had been seen until then.
//
// Closed loop: each client sends its next request when it has the answer to
// the last. Open loop (Config.Rate): requests are due at fixed times, and
// their latency counts from then on, whether or not a client was free to send
// them: a server that stalls is charged for all that it held up.
//
// It speaks HTTP/1.1 over TCP and Unix sockets, to a server that may be
// hostile only by accident: answers are bounded and checked, TLS is not there.
package load
