package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"prefork/ipc/store"
)

// Manager loads and saves sessions. The fields of the scs.SessionManager may
// be set until the first request; Store and HashTokenInStore are its own.
type Manager struct {
	*scs.SessionManager

	// LockTTL is for how long Exclusive holds a session's lock at most; a
	// request that takes longer can no longer save. Default 1 minute.
	LockTTL time.Duration

	// LockWait is how long Exclusive waits for other requests of the session
	// before it answers 503. Default 30 seconds.
	LockWait time.Duration

	table *table
}

// Option changes what New makes.
type Option func(*Manager)

// Prefix is put before the keys of sessions in the store; "session/" when it
// is not given. Two managers on one store need two prefixes, and two cookie
// names.
func Prefix(prefix string) Option { return func(m *Manager) { m.table.prefix = prefix } }

// Key is a secret that tokens are hashed with. Tokens are 256 random bits, so
// their hashes give nothing away without it; with it nobody who can write the
// store can make up a session whose token he knows. All programs that share
// the sessions give the same.
func Key(secret []byte) Option {
	return func(m *Manager) { m.table.secret = sha256.Sum256(secret) }
}

// New gives a manager of sessions over a store. It makes no request of it. It is
// for the life of the program: scs.New starts a goroutine that sweeps a store in
// memory, once a minute, and cannot be stopped without a race.
func New(s store.Store, options ...Option) *Manager {
	t := &table{store: s, prefix: "session/", secret: sha256.Sum256([]byte("prefork session"))}
	m := &Manager{SessionManager: scs.New(), LockTTL: time.Minute, LockWait: 30 * time.Second, table: t}
	m.Cookie.Secure = true
	m.Codec = Codec{}
	m.ErrorFunc = answer
	for _, o := range options {
		o(m)
	}
	// scs asks the manager for its own codec; the table decodes to merge.
	m.Store = t
	t.codec = func() scs.Codec { return m.Codec }
	return m
}

// answer is the default ErrorFunc: a status that says whose turn it is.
func answer(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrFenced):
		status = http.StatusConflict
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrFull), errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	_ = log.Output(2, "session: "+err.Error()) // as scs does; a logger that fails has nobody to tell
	http.Error(w, http.StatusText(status), status)
}

// visit is what one request knows of the sessions that it has loaded. It goes
// with the request's context.
type visit struct {
	known map[string]loaded // by key in the store
	lock  store.Token
	all   bool // Iterate: tokens are keys of the store
	wrote bool // the last commit changed the session
}

// loaded is an entry as this request has seen it last.
type loaded struct {
	value   []byte
	version uint64
	ttl     time.Duration // that was left of it
}

type visitKey struct{ t *table }

func (t *table) visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{t}).(*visit)
	return v
}

// arrive gives the context of a request that may load sessions.
func (m *Manager) arrive(ctx context.Context) (context.Context, *visit) {
	if v := m.table.visitOf(ctx); v != nil {
		return ctx, v
	}
	v := &visit{known: make(map[string]loaded, 1)}
	return context.WithValue(ctx, visitKey{m.table}, v), v
}

// Load is scs's, for those who do without LoadAndSave.
func (m *Manager) Load(ctx context.Context, token string) (context.Context, error) {
	ctx, _ = m.arrive(ctx)
	if !isToken(token) {
		token = ""
	}
	return m.SessionManager.Load(ctx, token)
}

// Iterate calls f with the context of each session that there is. It reads
// them one after the other, and not all at one moment.
func (m *Manager) Iterate(ctx context.Context, f func(context.Context) error) error {
	v := &visit{known: make(map[string]loaded), all: true}
	return m.SessionManager.Iterate(context.WithValue(ctx, visitKey{m.table}, v), f)
}

// tokenLength is that of scs: 256 bits in unpadded base64url.
const tokenLength = 43

// isToken says whether a client's text has the form of a token.
func isToken(text string) bool {
	if len(text) != tokenLength {
		return false
	}
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// keyOf gives the key of a token in the store.
func (t *table) keyOf(v *visit, token string) string {
	if v != nil && v.all && strings.HasPrefix(token, t.prefix) {
		return token
	}
	var text [sha256.Size + tokenLength]byte
	hash := sha256.Sum256(append(append(text[:0], t.secret[:]...), token...))
	key := make([]byte, 0, 64)
	key = append(key, t.prefix...)
	return string(base64.RawURLEncoding.AppendEncode(key, hash[:]))
}
