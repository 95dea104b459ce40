// Package session gives requests a session that every worker of the pool sees:
// scs (github.com/alexedwards/scs/v2) over the shared store.
//
//	s := session.New(w.Store())
//	mux.HandleFunc("/login", func(rw http.ResponseWriter, r *http.Request) {
//		if err := s.RenewToken(r.Context()); err != nil { ... }
//		s.Put(r.Context(), "user", "ada")
//	})
//	err = w.Serve(s.LoadAndSave(mux))
//
// A Manager is an *scs.SessionManager: its methods and options are there. What
// it does otherwise:
//
//   - Two requests of one session that change different keys both keep their
//     changes. When both changed the same key to different values, the second
//     one fails with store.ErrConflict (409); Exclusive keeps that from
//     happening.
//   - A session that was destroyed, or whose token was renewed, is not written
//     back by a request that had loaded it before: that request's changes are
//     dropped.
//   - A session that did not change is not written, and no cookie is sent. With
//     an IdleTimeout its expiry is moved on, once a tenth of it has passed.
//   - The store holds a hash of the token, never the token. What a client sends
//     is looked up only when it has the form of a token, and never adopted.
//   - Values are kept as JSON that other languages read; see Codec.
//   - The cookie is Secure, except for a request to localhost without TLS.
//   - Flush sends the cookie, and an error of the store is the whole answer:
//     what the handler writes after it is dropped.
//
// What a handler changes after its first Write is not saved, as in scs: the
// headers have gone.
package session
