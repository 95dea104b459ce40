package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	client "github.com/redis/go-redis/v9"

	"prefork/ipc/store"
)

// errorOf says what an error of the client means to a caller, and what it says
// about the server. ctx is the caller's.
func (s *Store) errorOf(ctx context.Context, err error) (verdict, error) {
	var answer client.Error
	switch {
	case err == nil || err == client.Nil:
		return answered, err
	case errors.Is(err, client.ErrClosed):
		return saysNothing, store.ErrClosed
	case errors.As(err, &answer):
		return s.answerOf(answer)
	}
	switch end := ctx.Err(); {
	case errors.Is(end, context.Canceled):
		return saysNothing, end
	case end != nil:
		return saysNothing, fmt.Errorf("%w: %s: %w", store.ErrUnavailable, s.server, end)
	}
	// The context of this package, or a deadline that the library made of it.
	// The caller's has not ended, so that none of its errors may show.
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrPoolTimeout) || errors.As(err, &timeout) && timeout.Timeout() {
		return failed, fmt.Errorf("%w: %s: no answer within %v (%v)", store.ErrUnavailable, s.server, s.set.timeout, err)
	}
	return failed, fmt.Errorf("%w: %s: %w", store.ErrUnavailable, s.server, err)
}

// answers are the error replies that have a meaning, by their first word.
// Within scripts Redis 6 has it inside its text.
var answers = []struct {
	word string
	err  error
	says verdict
}{
	{"OOM ", store.ErrFull, answered},
	{"WRONGTYPE ", errForeign, answered},
	{"READONLY ", store.ErrUnavailable, answered},
	{"MISCONF ", store.ErrUnavailable, answered},
	{"NOREPLICAS ", store.ErrUnavailable, answered},
	{"NOPERM ", store.ErrUnavailable, answered},
	{"TRYAGAIN ", store.ErrUnavailable, answered},
	{"BUSY ", store.ErrUnavailable, failed},
	{"LOADING ", store.ErrUnavailable, failed},
	{"MASTERDOWN ", store.ErrUnavailable, failed},
	{"CLUSTERDOWN ", store.ErrUnavailable, failed},
	{"NOAUTH ", store.ErrUnavailable, failed},
	{"WRONGPASS ", store.ErrUnavailable, failed},
	{"max number of clients", store.ErrUnavailable, failed},
	{"invalid password", store.ErrUnavailable, failed},
	{"without any password configured", store.ErrUnavailable, failed},
}

var (
	errForeign    = errors.New("redis: the key holds another type, written by somebody else")
	errNotCluster = errors.New("redis: the server is no cluster (want redis://)")
	errNoScripts  = errors.New("redis: the server runs no scripts (want Redis or Valkey; a pool's own socket is for other clients)")
	errIsCluster  = errors.New("redis: the server is part of a cluster (want redis+cluster://)")
)

func (s *Store) answerOf(answer client.Error) (verdict, error) {
	text := answer.Error()
	for _, a := range answers {
		if strings.Contains(text, a.word) {
			return a.says, fmt.Errorf("%w: %s: %w", a.err, s.server, answer)
		}
	}
	switch {
	case strings.HasPrefix(text, "MOVED ") && s.set.mode != cluster:
		return answered, fmt.Errorf("%w: %s", errIsCluster, s.server)
	case strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "ASK "):
		return answered, fmt.Errorf("%w: %s: redirected too often: %w", store.ErrUnavailable, s.server, answer)
	case strings.Contains(text, "cluster support disabled"):
		return answered, fmt.Errorf("%w: %s", errNotCluster, s.server)
	}
	return answered, fmt.Errorf("%s: %w", s.server, answer)
}

// lasting says whether an error will be there at the next try as well: it
// needs somebody to change something. Open returns such ones.
func lasting(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		remote       *net.OpError
		answer       client.Error
	)
	switch {
	case errors.Is(err, errNotCluster), errors.Is(err, errIsCluster), errors.Is(err, errNoScripts):
		return true
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &record):
		return true
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert: the server wants a certificate, or another
		return true
	case errors.As(err, &answer):
		text := answer.Error()
		for _, word := range []string{"NOAUTH", "WRONGPASS", "invalid password", "without any password configured", "unknown command"} {
			if strings.Contains(text, word) {
				return true
			}
		}
	}
	return false
}
