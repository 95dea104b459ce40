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
//     changes. When both changed the same key, be it to one value, the second one
//     fails with store.ErrConflict (409), or wins: see SameKey. Exclusive keeps
//     that from happening.
//   - A session that was destroyed, whose token was renewed, or whose time is
//     over, is not written back by a request that had loaded it before: that
//     request fails with ErrGone (409). RenewToken takes with it what others
//     have saved since its request loaded the session.
//   - A session that did not change is not written. A cookie is sent when the
//     client has another one. With an IdleTimeout its expiry is moved on, once
//     a tenth of it has passed.
//   - The store holds HMAC-SHA-256 of the token, never the token. What a client
//     sends is looked up only when it has the form of a token, and never
//     adopted.
//   - Values are kept as JSON that other languages read; see Codec.
//   - The cookie is Secure. Chrome, Firefox and curl send such a one to
//     http://localhost too; for development with others set Cookie.Secure to
//     w.InPool().
//   - Flush sends the cookie, and an error of the store is the whole answer:
//     what the handler writes after it is dropped.
//   - A request whose client has left saves its session all the same.
//
// What a handler changes after its first Write is not saved, as in scs: the
// headers have gone. A handler of a long response calls Commit. A value that is
// changed in place, such as a map that Get gave, is saved after a Put.
//
// Sessions are neither signed nor encrypted in the store.
package session
