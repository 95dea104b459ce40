// Package demo is the web page of `prefork demo`: it shows in a browser what a
// pool of processes shares, and what it does not.
//
// The whole site is an http.Handler that a worker serves. It needs two things:
// a Globals, of which each process has its own, and a Store, of which the pool
// has one. The same login code runs on both, so that the difference a visitor
// sees is the difference between the two and nothing else.
//
//	site := demo.New(demo.Options{Worker: me, Globals: &globals, Store: store})
//	go site.Announce(ctx)
//	http.Serve(listener, site)
//
// A Site may be used from several goroutines. It deliberately closes every
// connection after one answer: a browser that kept its connections would stay
// with one worker and see nothing of the others.
package demo
