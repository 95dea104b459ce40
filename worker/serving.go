package worker

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// serving is one http.Server under the worker's care.
type serving struct {
	w   *Worker
	srv *http.Server
	tls bool

	// streams has the HTTP/2 connections of srv, and nothing else: its
	// Shutdown sends GOAWAY on them, while srv's own would close HTTP/1
	// connections that have a request on the wire.
	streams *http.Server
}

// newServing hooks the worker into srv. Preconditions: srv does not serve yet.
func newServing(w *Worker, srv *http.Server) (*serving, error) {
	s := &serving{w: w, srv: srv}
	if c := srv.TLSConfig; c != nil {
		s.tls = len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil
	}
	s.hookState()
	s.hookContext()
	s.hookHandler()
	return s, s.separateStreams()
}

// hookState follows the connections' states, then calls the program's hook.
func (s *serving) hookState() {
	theirs := s.srv.ConnState
	s.srv.ConnState = func(nc net.Conn, state http.ConnState) {
		if c := underlying(nc); c != nil {
			c.enter(state)
		}
		if theirs != nil {
			theirs(nc, state)
		}
	}
}

// hookHandler counts requests, and announces the end of the connection in
// every response of a worker that drains: HTTP/1 says "Connection: close", and
// HTTP/2 turns that into GOAWAY (net/http, h2_bundle.go). A handler that began
// before the drain is caught after its end if its headers have not gone out.
func (s *serving) hookHandler() {
	theirs := s.srv.Handler
	if theirs == nil {
		theirs = http.DefaultServeMux
	}
	w := s.w
	s.srv.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.isDraining() {
			rw.Header().Set("Connection", "close")
			w.counted(theirs, rw, r)
			return
		}
		w.counted(theirs, rw, r)
		if w.isDraining() {
			rw.Header().Set("Connection", "close")
		}
	})
}

// errNoConnections ends the listener of a server that is to accept nothing.
var errNoConnections = errors.New("worker: no connections here")

type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, errNoConnections }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }

// separateStreams lets a second server configure HTTP/2 and own its
// connections: net/http registers the sending of GOAWAY with the server that
// was configured, and runs it in that server's Shutdown. A program that has
// set TLSNextProto has configured HTTP/2 itself.
func (s *serving) separateStreams() error {
	h2c := s.srv.Protocols != nil && s.srv.Protocols.UnencryptedHTTP2()
	if s.srv.TLSNextProto != nil || !s.tls && !h2c {
		return nil
	}
	s.streams = &http.Server{
		TLSConfig: s.srv.TLSConfig.Clone(),
		Protocols: s.srv.Protocols,
		HTTP2:     s.srv.HTTP2,
		ErrorLog:  s.srv.ErrorLog,
	}
	var err error
	if s.tls {
		err = s.streams.ServeTLS(noListener{}, "", "")
	} else {
		err = s.streams.Serve(noListener{})
	}
	if !errors.Is(err, errNoConnections) {
		return err
	}
	s.srv.TLSNextProto = s.streams.TLSNextProto
	return nil
}

func (s *serving) accept(l net.Listener) error {
	if s.tls {
		return s.srv.ServeTLS(l, "", "")
	}
	return s.srv.Serve(l)
}

// announce tells HTTP/2 clients to send nothing new: GOAWAY, then the streams
// that are open end.
func (s *serving) announce() {
	if s.streams != nil {
		_ = s.streams.Shutdown(context.Background()) // it has no listener, and its own set of connections is empty
	}
}
