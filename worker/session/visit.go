package session

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"prefork/ipc/store"
)

// visit is what one request, or one Load, knows of its session besides what
// scs does. It is the context too that finds it, which saves an allocation a
// request.
//
// key, version, base and stored are used in calls from scs only, which holds
// its lock of the session then.
type visit struct {
	context.Context
	m *Manager

	key     string // in the store; "": it has nothing of this session
	version uint64
	base    []byte // what this request began with, or saved last
	stored  []byte // what the store has at version; another value than base once others have written
	left    time.Duration
	old     string   // the key that was given up by RenewToken and is to be ended by the commit; version and stored are its
	renewed string   // the key of the token that RenewToken made last
	merged  []string // the keys of sessions that MergeSession took over, to be ended by the commit

	lock store.Token // of Exclusive; the zero value: none

	// Of a request; the zero values in a Load.
	writer   http.ResponseWriter
	request  *http.Request // with the session in its context
	sent     string        // the token that the client has, if it has one
	moved    bool          // its cookie has another deadline than the session
	remember bool
	loading  bool
	begun    atomic.Bool // the header has been sent, or given up
	failed   error       // why it was given up
}

// visitKey finds the visit of a Manager in a context.
type visitKey struct{ m *Manager }

// Value is of context.Context.
func (v *visit) Value(key any) any {
	if of, ok := key.(visitKey); ok && of.m == v.m {
		return v
	}
	return v.Context.Value(key)
}

func (m *Manager) visit(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{m}).(*visit)
	return v
}

// load finds the session of a token, or begins one, and counts its idle time
// from now.
func (v *visit) load(token string) (context.Context, error) {
	v.loading = true
	ctx, err := v.m.SessionManager.Load(v, token)
	v.loading = false
	if err != nil || v.key == "" {
		return ctx, err
	}
	v.sent = token
	v.remember = v.m.remembers(ctx)
	return ctx, v.touch(ctx)
}

// touch sets what is left of a session anew when the idle timeout is in use
// and a tenth of it is gone, or the time left is not of this timeout at all.
func (v *visit) touch(ctx context.Context) error {
	if v.m.IdleTimeout <= 0 {
		return nil
	}
	want := v.m.expiry(v.m.Deadline(ctx))
	if gone := want - v.left; v.left != 0 && gone.Abs() < v.m.IdleTimeout/10 {
		return nil
	}
	// It may have ended meanwhile, which the commit will see.
	_, err := v.m.shared.Touch(ctx, v.key, want)
	return err
}

// remembers says whether a cookie outlives the browser although others do not.
func (m *Manager) remembers(ctx context.Context) bool {
	return !m.Cookie.Persist && m.GetBool(ctx, "__rememberMe") // the key that scs uses
}

// forget is for a session that has ended: what comes next is another one.
func (v *visit) forget() {
	v.key, v.version, v.base, v.stored, v.old, v.renewed = "", 0, nil, nil, "", ""
}

// endless is a visit as a context without end: a client that does not wait for
// its answer has asked for it all the same.
type endless visit

func lasting(ctx context.Context, v *visit) context.Context {
	if v == nil {
		return context.WithoutCancel(ctx)
	}
	return (*endless)(v)
}

func (*endless) Deadline() (at time.Time, ok bool) { return time.Time{}, false }
func (*endless) Done() <-chan struct{}             { return nil }
func (*endless) Err() error                        { return nil }
func (e *endless) Value(key any) any               { return e.Context.Value(key) }
