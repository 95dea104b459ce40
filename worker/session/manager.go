package session

import (
	"time"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// Manager loads and saves sessions. It has all methods and fields of
// scs.SessionManager; those that this package declares take their place. The
// fields may be set until the first request; Store and HashTokenInStore are
// its own.
type Manager struct {
	*scs.SessionManager

	// IdleTimeout ends a session that no request used for so long; 0: only its
	// Lifetime does. What is left is set anew once a tenth is gone, so that a
	// session ends after 0.9 to 1.0 of it.
	IdleTimeout time.Duration

	// SameKey says what becomes of a request that changed a key of its session
	// which another one, saved meanwhile, has changed too. Changes of different
	// keys are both kept, always.
	SameKey Policy

	// LockTTL is for how long Exclusive holds a session's lock at most; a
	// request that takes longer can no longer save. Default 1 minute.
	LockTTL time.Duration

	// LockWait is how long Exclusive waits for other requests of the session
	// before it answers 503. Default 30 seconds; 0: as long as the request's
	// context.
	LockWait time.Duration

	shared store.Store
	naming naming
}

// Policy is for a key of a session that two requests changed at a time.
type Policy uint8

const (
	Refuse   Policy = iota // the second to be saved fails with store.ErrConflict: 409
	LastWins               // its value stays, the other one is lost
)

// Option changes what New makes.
type Option func(*Manager)

// Prefix is put before the keys of sessions in the store; "session/" when it
// is not given. Two managers on one store need two prefixes, and two cookie
// names.
func Prefix(prefix string) Option { return func(m *Manager) { m.naming.prefix = prefix } }

// Key is a secret that tokens are hashed with. Tokens are 256 random bits, so
// their hashes give nothing away without it; with it nobody who can write the
// store can make up a session whose token he knows. All programs that share
// the sessions give the same; another one ends all sessions.
func Key(secret []byte) Option { return func(m *Manager) { m.naming.secret = secret } }

// New gives a manager of sessions over a store, with a Lifetime of 24 hours
// and a cookie "session" that is Secure, HttpOnly and SameSite=Lax. It makes no
// request of the store. It is for the life of the program: scs.New starts a
// goroutine that sweeps a store in memory, once a minute, and cannot be stopped
// without a race.
func New(s store.Store, options ...Option) *Manager {
	m := &Manager{SessionManager: scs.New(), LockTTL: time.Minute, LockWait: 30 * time.Second,
		shared: s, naming: naming{prefix: "session/", secret: []byte(publicKey)}}
	m.Store = table{m}
	m.Codec = Codec{}
	m.ErrorFunc = answerError
	m.Cookie.Secure = true
	for _, o := range options {
		o(m)
	}
	m.naming.start()
	return m
}

// expiry gives what is left to a session whose lifetime ends at deadline. It
// is never 0, which the store takes for ever: a negative one deletes.
func (m *Manager) expiry(deadline time.Time) time.Duration {
	left := time.Until(deadline)
	if m.IdleTimeout > 0 {
		left = min(left, m.IdleTimeout)
	}
	if left <= 0 {
		return -1
	}
	return left
}
